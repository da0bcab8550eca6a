#include "core/data/packed_writer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/base/hash.h"

namespace convoy {
namespace {

template <class T>
void append(std::string& out, const T& value, size_t bytes = sizeof(T)) {
  out.append(reinterpret_cast<const char*>(&value), bytes);
}

}  // namespace

PackedWriter::PackedWriter(FileSystem& files, const std::string& path, std::vector<std::string> class_names)
    : path_(path),
      pending_(files, path),
      class_names_(std::move(class_names)),
      file_(files.create(pending_.temporary())) {
  for (const std::string& name : class_names_)
    if (name.find('\0') != std::string::npos) throw Error(ExitCode::kBadData, path + ": a class has NUL in its name");
  packed::Header header = {{}, packed::kVersion, 0};
  std::ranges::copy(packed::kMagic, header.magic);
  write(std::as_bytes(std::span(&header, 1)));
}

void PackedWriter::write(std::span<const std::byte> bytes) {
  file_->write(bytes);
  bytes_ += bytes.size();
}

void PackedWriter::add(std::string_view name, int label, std::span<const std::byte> image) {
  CHECK(label >= 0 && static_cast<size_t>(label) < class_names_.size());
  CHECK(image.size() <= std::numeric_limits<uint32_t>::max());
  if (name.find('\0') != std::string_view::npos)
    throw Error(ExitCode::kBadData, path_ + ": expected a name without NUL, found " + std::string(name));
  records_.push_back(
      {bytes_, hash64(image), text_.size(), static_cast<uint32_t>(image.size()), static_cast<uint32_t>(label)});
  text_ += name;
  text_ += '\0';
  write(image);
}

void PackedWriter::finish() {
  if (records_.empty()) throw Error(ExitCode::kBadData, path_ + ": expected images to write, found none");
  for (const std::string& name : class_names_) (text_ += name) += '\0';
  packed::Footer footer = {records_.size(), class_names_.size(), bytes_, text_.size(), 0, {}};
  std::ranges::copy(packed::kMagic, footer.magic);
  std::string index(reinterpret_cast<const char*>(records_.data()), records_.size() * sizeof(packed::Record));
  index += text_;
  append(index, footer, packed::kSealedFooter);
  footer.checksum = hash64(index);
  index.resize(index.size() - packed::kSealedFooter);
  append(index, footer);
  write(std::as_bytes(std::span(index)));
  file_->sync();
  file_->close();
  pending_.finish();
}

}  // namespace convoy
