#include "core/data/pack.h"

#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/base/in_order.h"
#include "core/data/packed_writer.h"

namespace convoy {
namespace {

struct Packed {
  std::optional<std::string> reason;  // why it cannot be stored
  int64_t bytes_before = 0;
  std::vector<std::byte> file;
};

// One a thread.
struct Packer {
  const ImageStore& store;
  Repacker repack;
  std::vector<std::byte> scratch;

  Packed operator()(int64_t i) {
    const std::string name = store.name(i);
    Packed packed;
    try {
      store.verify(i);
      const std::span<const std::byte> file = store.file(i, scratch);
      packed.bytes_before = static_cast<int64_t>(file.size());
      packed.file = repack(file, name);
    } catch (const Error& error) {
      if (error.code() == ExitCode::kOutOfMemory) throw;
      packed.reason = reason_of(error.what(), name);
    }
    return packed;
  }
};

}  // namespace

PackReport pack_images(const ImageStore& store, FileSystem& files, const std::string& path,
                       const RepackOptions& options, int threads, const OnBadImage& on_bad,
                       const OnProgress& on_progress) {
  PackedWriter writer(files, path, store.class_names());
  PackReport report;
  std::vector<std::unique_ptr<Packer>> packers;
  for (int thread = 0; thread < threads; ++thread)
    packers.push_back(std::unique_ptr<Packer>(new Packer{store, Repacker(options), {}}));
  const auto pack = [&](int64_t i, int thread) { return (*packers[static_cast<size_t>(thread)])(i); };
  in_order(store.size(), threads, pack, [&](int64_t i, const Packed& packed) {
    on_progress(i + 1);
    if (packed.reason) {
      ++report.bad;
      return on_bad(store.name(i), *packed.reason);
    }
    writer.add(store.name(i), store.label(i), packed.file);
    ++report.images;
    report.bytes_before += packed.bytes_before;
  });
  writer.finish();
  report.bytes = writer.bytes();
  return report;
}

}  // namespace convoy
