#include "core/data/cifar.h"

#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/simd.h"
#include "core/data/directory.h"
#include "core/data/memory_dataset.h"
#include "core/io/byte_reader.h"
#include "core/io/tar.h"

namespace convoy {
namespace {

constexpr Shape kSample = {1, 32, 32, 3};
constexpr int64_t kPlane = 32 * 32;
constexpr int64_t kMaxArchiveBytes = int64_t{16} << 30;

struct Format {
  std::string folder;
  std::string before, after;  // of the number in the name of a file
  bool numbered = false;      // there are several files, counted from 1
  int64_t label_bytes = 1;    // the last one counts

  std::string file(int number) const { return before + (numbered ? std::to_string(number) : "") + after; }
  // Of the file of this name; 1 if they are not numbered, nothing if it is not one of these files.
  std::optional<int> number_of(const std::string& name) const {
    if (!numbered) return name == file(1) ? std::optional(1) : std::nullopt;
    if (!name.starts_with(before)) return {};
    int number = 0;
    std::from_chars(name.data() + before.size(), name.data() + name.size(), number);
    return number > 0 && name == file(number) ? std::optional(number) : std::nullopt;
  }
  int64_t record_bytes() const { return label_bytes + kSample.elements(); }
};

Format format_of(Split split, int classes) {
  const bool train = split == Split::kTrain;
  if (classes == 10) return {"cifar-10-batches-bin", train ? "data_batch_" : "test_batch", ".bin", train, 1};
  if (classes == 100) return {"cifar-100-binary", train ? "train" : "test", ".bin", false, 2};
  throw Error(ExitCode::kConfig, "CIFAR: expected 10 or 100 classes, found " + std::to_string(classes));
}

// A file with records.
struct Part {
  std::string name;
  int64_t bytes = 0;
  std::vector<uint8_t> records;  // none where only sizes were asked for
};

enum class Want { kSizes, kRecords };

std::string folder_of(const std::string& path, const Format& format) {
  std::error_code ignored;
  const std::string inside = path + "/" + format.folder;
  return std::filesystem::is_directory(inside, ignored) ? inside : path;
}

// By number.
class Parts {
 public:
  Parts(const std::string& path, const Format& format, Want want) : path_(path), format_(format), want_(want) {}

  void add_folder(const std::string& folder) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(folder, ignored)) return;
    for (const std::filesystem::directory_entry& entry : entries_of(folder)) {
      const std::optional<int> number = format_.number_of(entry.path().filename().string());
      if (!number) continue;
      const InputFile file(entry.path().string());
      Part part = {file.path(), file.size(), {}};
      if (want_ == Want::kRecords) part.records.resize(static_cast<size_t>(file.size()));
      file.read_at(0, std::as_writable_bytes(std::span(part.records)));
      add(*number, std::move(part));
    }
  }

  void add_archive() {
    if (starts_like_gzip(read_beginning(path_, 2))) {
      const std::vector<std::byte> archive = read_file(path_, kMaxArchiveBytes);
      TarReader reader(archive, path_);
      add_members(reader);
    } else {
      const InputFile file(path_);
      TarReader reader(file);
      add_members(reader);
    }
  }

  // In their order, and none is missing between them.
  std::vector<Part> take() {
    std::vector<Part> parts;
    for (auto& [number, part] : parts_) {
      const int expected = static_cast<int>(parts.size()) + 1;
      if (number != expected)
        throw Error(ExitCode::kNoInput,
                    path_ + ": expected " + format_.file(expected) + " beside " + part.name + ", found none");
      parts.push_back(std::move(part));
    }
    return parts;
  }

 private:
  void add_members(TarReader& reader) {
    while (const std::optional<TarMember> member = reader.next()) {
      const std::optional<int> number = format_.number_of(member->name.substr(member->name.rfind('/') + 1));
      if (!number) continue;
      Part part = {path_ + ": " + member->name, member->size, {}};
      if (want_ == Want::kRecords) part.records = reader.read();
      add(*number, std::move(part));
    }
  }

  void add(int number, Part part) {
    const std::string name = part.name;
    if (!parts_.emplace(number, std::move(part)).second)
      throw Error(ExitCode::kBadData, name + ": expected one file of this name, found two");
  }

  const std::string& path_;
  const Format& format_;
  const Want want_;
  std::map<int, Part> parts_;
};

// Parts in their order; each has a whole number of records.
std::vector<Part> find_parts(const std::string& path, const Format& format, Want want) {
  std::error_code ignored;
  Parts found(path, format, want);
  if (std::filesystem::is_regular_file(path, ignored)) {
    found.add_archive();
  } else {
    found.add_folder(folder_of(path, format));
  }
  std::vector<Part> parts = found.take();
  if (parts.empty())
    throw Error(ExitCode::kNoInput, path + ": expected " + format.file(1) + " in it or in " + format.folder + " in it" +
                                        ", found none (of CIFAR's versions it must be the binary one)");
  for (const Part& part : parts) {
    if (part.bytes > 0 && part.bytes % format.record_bytes() == 0) continue;
    throw Error(ExitCode::kBadData, part.name + ": expected a whole number of records of " +
                                        std::to_string(format.record_bytes()) + " bytes, found " +
                                        std::to_string(part.bytes) + " bytes");
  }
  return parts;
}

ImagesHeader header_of(const std::vector<Part>& parts, const Format& format) {
  ImagesHeader header = {0, kSample};
  for (const Part& part : parts) header.size += part.bytes / format.record_bytes();
  return header;
}

// [C,H,W] to [H,W,C].
void interleave(const uint8_t* planes, uint8_t* pixels) {
  simd([&]() CONVOY_INLINE {
    for (int64_t i = 0; i < kPlane; ++i) {
      pixels[3 * i] = planes[i];
      pixels[3 * i + 1] = planes[i + kPlane];
      pixels[3 * i + 2] = planes[i + 2 * kPlane];
    }
  });
}

}  // namespace

std::unique_ptr<Dataset> open_cifar(const std::string& path, Split split, int classes) {
  const Format format = format_of(split, classes);
  std::vector<Part> parts = find_parts(path, format, Want::kRecords);
  const ImagesHeader header = header_of(parts, format);
  std::vector<uint8_t> pixels(static_cast<size_t>(header.size * kSample.elements()));
  std::vector<int32_t> labels;
  for (Part& part : parts) {
    const std::vector<uint8_t> records = std::exchange(part.records, {});  // freed when they are done
    for (const uint8_t* record = records.data(); record != records.data() + records.size();
         record += format.record_bytes()) {
      interleave(record + format.label_bytes, pixels.data() + labels.size() * static_cast<size_t>(kSample.elements()));
      labels.push_back(record[format.label_bytes - 1]);
    }
  }
  return std::make_unique<MemoryDataset>(header, classes, std::move(pixels), std::move(labels),
                                         MemoryDataset::Names{path, path});
}

ImagesHeader read_cifar_header(const std::string& path, Split split, int classes) {
  const Format format = format_of(split, classes);
  return header_of(find_parts(path, format, Want::kSizes), format);
}

}  // namespace convoy
