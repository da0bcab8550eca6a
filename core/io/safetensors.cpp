#include "core/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/io/dims.h"
#include "core/io/safetensors_header.h"

namespace convoy {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are stored as they lie in memory");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kAlignment = 8;

[[noreturn]] void bad(const std::string& file, const std::string& what) {
  throw Error(ExitCode::kBadData, file + ": " + what);
}

uint64_t header_length(std::span<const std::byte> contents, const std::string& file) {
  uint64_t length = 0;
  if (contents.size() < sizeof(length))
    bad(file, "expected a safetensors file, found " + std::to_string(contents.size()) + " bytes");
  std::memcpy(&length, contents.data(), sizeof(length));
  if (length > kMaxHeaderBytes)
    bad(file, "expected a safetensors header of at most 100 MB, found a length of " + std::to_string(length));
  if (length > contents.size() - sizeof(length))
    bad(file, "expected a safetensors header of " + std::to_string(length) +
                  " bytes, found the end of the file after " + std::to_string(contents.size() - sizeof(length)));
  return length;
}

// Each tensor begins where the one before it ended, and the last ends with the file.
void check_tiling(std::vector<HeaderEntry>& entries, int64_t data_bytes, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t position = 0;
  for (const HeaderEntry& entry : entries) {
    const std::string where = "tensor '" + entry.name + "': ";
    if (entry.begin != position)
      bad(file, where + "expected its data to begin at " + std::to_string(position) + ", found " +
                    std::to_string(entry.begin));
    const std::optional<int64_t> size = dims_product(size_of(entry.type), entry.dims);
    if (!size) bad(file, where + "shape " + dims_text(entry.dims) + " is larger than any file");
    const int64_t bytes = *size;
    if (entry.end < entry.begin || entry.end - entry.begin != bytes)
      bad(file, where + "expected " + std::to_string(bytes) + " bytes for " + dims_text(entry.dims) + " " +
                    to_string(entry.type) + ", found offsets " + std::to_string(entry.begin) + " to " +
                    std::to_string(entry.end));
    position = entry.end;
  }
  if (position != data_bytes)
    bad(file, "expected " + std::to_string(position) + " bytes of tensor data, found " + std::to_string(data_bytes));
}

// Writes, and keeps count and hash of what was written.
class DigestingWriter {
 public:
  explicit DigestingWriter(OutputFile& file) : file_(file) {}
  void write(std::span<const std::byte> bytes) {
    file_.write(bytes);
    hash_.update(bytes);
    bytes_ += static_cast<int64_t>(bytes.size());
  }
  FileDigest digest() const { return {bytes_, hash_.hex()}; }

 private:
  OutputFile& file_;
  Hash128 hash_;
  int64_t bytes_ = 0;
};

std::string make_header(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  SafetensorsHeader header;
  header.metadata = metadata;
  int64_t position = 0;
  for (const NamedTensor& tensor : tensors) {
    const auto bytes = static_cast<int64_t>(tensor.bytes.size());
    CHECK(dims_product(size_of(tensor.type), tensor.dims) == bytes, "bytes of tensor " + tensor.name);
    header.entries.push_back({tensor.name, tensor.type, tensor.dims, position, position + bytes});
    position += bytes;
  }
  std::string text = format_safetensors_header(header);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  CHECK(text.size() <= kMaxHeaderBytes, "safetensors header");
  return text;
}

}  // namespace

int64_t size_of(StoredType type) {
  switch (type) {
    case StoredType::kI64: return 8;
    case StoredType::kF32:
    case StoredType::kI32: return 4;
    case StoredType::kBF16:
    case StoredType::kF16: return 2;
    case StoredType::kU8: return 1;
  }
  return 0;
}

const char* to_string(StoredType type) {
  switch (type) {
    case StoredType::kF32: return "F32";
    case StoredType::kBF16: return "BF16";
    case StoredType::kF16: return "F16";
    case StoredType::kI32: return "I32";
    case StoredType::kU8: return "U8";
    case StoredType::kI64: return "I64";
  }
  return "?";
}

StoredType stored_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return StoredType::kF32;
    case Dtype::kBF16: return StoredType::kBF16;
    case Dtype::kF16: return StoredType::kF16;
    case Dtype::kU8: return StoredType::kU8;
    case Dtype::kI32: return StoredType::kI32;
  }
  return StoredType::kF32;
}

SafetensorsFile::SafetensorsFile(std::vector<std::byte> contents, std::string name)
    : name_(std::move(name)), contents_(std::move(contents)) {
  const uint64_t length = header_length(contents_, name_);
  const auto* text = reinterpret_cast<const char*>(contents_.data()) + sizeof(length);
  SafetensorsHeader header = parse_safetensors_header({text, length}, name_);
  const auto data = std::span<const std::byte>(contents_).subspan(sizeof(length) + length);
  check_tiling(header.entries, static_cast<int64_t>(data.size()), name_);

  metadata_ = std::move(header.metadata);
  tensors_.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    const auto bytes = data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin));
    tensors_.push_back({std::move(entry.name), entry.type, std::move(entry.dims), bytes});
  }
  std::sort(tensors_.begin(), tensors_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

SafetensorsFile SafetensorsFile::open(const std::string& path, int64_t max_bytes) {
  return SafetensorsFile(read_file(path, max_bytes), path);
}

const NamedTensor* SafetensorsFile::find(std::string_view name) const {
  const auto at =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const NamedTensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

const NamedTensor& SafetensorsFile::get(std::string_view name, StoredType type, std::span<const int64_t> dims) const {
  const std::string expected =
      "expected tensor '" + std::string(name) + "' of " + dims_text(dims) + " " + to_string(type) + ", found ";
  const NamedTensor* tensor = find(name);
  if (tensor == nullptr) bad(name_, expected + "none of that name");
  if (tensor->type != type || !std::ranges::equal(tensor->dims, dims))
    bad(name_, expected + dims_text(tensor->dims) + " " + to_string(tensor->type));
  return *tensor;
}

FileDigest write_safetensors(FileSystem& files, const std::string& path, std::vector<NamedTensor> tensors,
                             const std::map<std::string, std::string>& metadata) {
  // Widest elements first, so that each tensor is aligned to its element.
  std::sort(tensors.begin(), tensors.end(), [](const NamedTensor& a, const NamedTensor& b) {
    return std::pair(-size_of(a.type), a.name) < std::pair(-size_of(b.type), b.name);
  });
  for (size_t i = 0; i < tensors.size(); ++i)
    CHECK(tensors[i].name != "__metadata__" && (i == 0 || tensors[i].name != tensors[i - 1].name), tensors[i].name);

  const std::string header = make_header(tensors, metadata);
  const uint64_t length = header.size();
  const std::unique_ptr<OutputFile> file = files.create(path);
  DigestingWriter writer(*file);
  writer.write(std::as_bytes(std::span(&length, 1)));
  writer.write(std::as_bytes(std::span(header)));
  for (const NamedTensor& tensor : tensors) writer.write(tensor.bytes);
  file->sync();
  file->close();
  return writer.digest();
}

}  // namespace convoy
