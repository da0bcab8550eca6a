#include "core/data/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/io/byte_reader.h"

namespace convoy {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{16} << 30;

// A gzip bomb inflates 1000 times; images do 2 to 10 times.  Small files may do what they like.
constexpr int64_t kFreeBytes = int64_t{64} << 20;
constexpr int64_t kMaxInflation = 64;

[[noreturn]] void bad(const std::string& name, const std::string& what) {
  throw Error(ExitCode::kBadData, name + ": " + what);
}

std::vector<int64_t> read_dims(ByteReader& reader, const std::string& name) {
  std::array<std::byte, 4> word;
  if (reader.read(word) < word.size()) bad(name, "expected an IDX header, found the end of the file");
  const int type = std::to_integer<int>(word[2]), rank = std::to_integer<int>(word[3]);
  if (word[0] != std::byte{0} || word[1] != std::byte{0} || rank < 1 || rank > 4)
    bad(name, "expected an IDX file (first bytes 0 0 8 and 1 to 4 dimensions), found " +
                  std::to_string(std::to_integer<int>(word[0])) + " " + std::to_string(std::to_integer<int>(word[1])) +
                  " " + std::to_string(type) + " " + std::to_string(rank));
  if (type != 8) bad(name, "expected IDX elements of type 8 (unsigned byte), found type " + std::to_string(type));
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    if (reader.read(word) < word.size()) bad(name, "expected an IDX header, found the end of the file");
    int64_t dim = 0;
    for (const std::byte byte : word) dim = dim << 8 | std::to_integer<int64_t>(byte);
    if (dim < 1 || dim > std::numeric_limits<int>::max())
      bad(name, "IDX dimension " + std::to_string(i) + ": expected 1 to 2147483647, found " + std::to_string(dim));
    dims.push_back(dim);
  }
  return dims;
}

int64_t checked_elements(const std::vector<int64_t>& dims, const std::string& name) {
  int64_t elements = 1;
  for (const int64_t dim : dims)
    if (__builtin_mul_overflow(elements, dim, &elements)) bad(name, "IDX dimensions multiply to more than 2^63");
  return elements;
}

// Reads exactly `count` bytes.  Memory grows with what is really there, not with what the header says.
std::vector<uint8_t> read_exactly(ByteReader& reader, int64_t count, const std::string& name) {
  constexpr int64_t kStep = int64_t{16} << 20;
  std::vector<uint8_t> bytes;
  while (static_cast<int64_t>(bytes.size()) < count) {
    const size_t begin = bytes.size();
    const auto step = static_cast<size_t>(std::min(kStep, count - static_cast<int64_t>(begin)));
    if (bytes.capacity() < begin + step) bytes.reserve(std::min(static_cast<size_t>(count), 2 * begin + step));
    bytes.resize(begin + step);
    const size_t got = reader.read(std::as_writable_bytes(std::span(bytes).subspan(begin)));
    if (got < step) bad(name, "expected " + std::to_string(count) + " elements, found " + std::to_string(begin + got));
  }
  std::byte extra;
  if (reader.read({&extra, 1}) != 0) bad(name, "expected " + std::to_string(count) + " elements, found more");
  return bytes;
}

std::string describe(const std::vector<int64_t>& dims) {
  std::string text;
  for (const int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

void require_labels(const std::vector<int64_t>& dims, const std::string& path) {
  if (dims.size() != 1) bad(path, "expected labels (one dimension), found an array of " + describe(dims));
}

void require_images(const std::vector<int64_t>& dims, const std::string& path) {
  if (dims.size() < 3) bad(path, "expected images (n, h, w and perhaps c), found an array of " + describe(dims));
  if (checked_elements({dims.begin() + 1, dims.end()}, path) > kMaxImageBytes)
    bad(path,
        "expected images of at most " + std::to_string(kMaxImageBytes) + " bytes, found an array of " + describe(dims));
}

Shape sample_of(const std::vector<int64_t>& dims) {
  return {1, static_cast<int>(dims[1]), static_cast<int>(dims[2]), dims.size() == 4 ? static_cast<int>(dims[3]) : 1};
}

// `plain` or its gzipped form.
std::string existing(const std::string& plain) {
  std::error_code ignored;
  for (const char* suffix : {"", ".gz"})
    if (std::filesystem::exists(plain + suffix, ignored)) return plain + suffix;
  throw Error(ExitCode::kNoInput, plain + "[.gz]: expected a file, found none");
}

}  // namespace

IdxArray parse_idx(std::span<const std::byte> file, const std::string& name) {
  ByteReader reader(file, name);
  IdxArray array;
  array.dims = read_dims(reader, name);
  const int64_t elements = checked_elements(array.dims, name);
  const auto bytes = static_cast<int64_t>(file.size());
  if (elements > kFreeBytes && elements / kMaxInflation > bytes)
    bad(name, "the header promises " + describe(array.dims) + " elements, which " + std::to_string(bytes) +
                  " bytes of file cannot be trusted to hold");
  array.elements = read_exactly(reader, elements, name);
  return array;
}

ImagesHeader read_images_header(const std::string& path) {
  constexpr int64_t kEnough = 4096;  // inflated or not
  const std::vector<std::byte> bytes = read_beginning(path, kEnough);
  ByteReader reader(bytes, path);
  const std::vector<int64_t> dims = read_dims(reader, path);
  require_images(dims, path);
  return {dims[0], sample_of(dims)};
}

IdxDataset::IdxDataset(const std::string& images_path, const std::string& labels_path, int classes)
    : classes_(classes) {
  IdxArray labels = parse_idx(read_file(labels_path, kMaxFileBytes), labels_path);
  require_labels(labels.dims, labels_path);
  IdxArray images = parse_idx(read_file(images_path, kMaxFileBytes), images_path);
  require_images(images.dims, images_path);
  if (labels.dims[0] != images.dims[0])
    bad(labels_path, "expected " + std::to_string(images.dims[0]) + " labels, as many as images in " + images_path +
                         ", found " + std::to_string(labels.dims[0]));
  const auto wrong = std::find_if(labels.elements.begin(), labels.elements.end(), [&](int l) { return l >= classes; });
  if (wrong != labels.elements.end())
    bad(labels_path, "sample " + std::to_string(wrong - labels.elements.begin()) + ": expected a label of 0 to " +
                         std::to_string(classes - 1) + ", found " + std::to_string(*wrong));
  sample_ = sample_of(images.dims);
  pixels_ = std::move(images.elements);
  labels_ = std::move(labels.elements);
  fingerprint_ =
      hash128_hex(to_string(sample_) + " " + std::to_string(classes) + " " +
                  hash128_hex(std::as_bytes(std::span(pixels_))) + hash128_hex(std::as_bytes(std::span(labels_))));
}

int IdxDataset::read(int64_t i, int64_t, uint8_t* pixels) const {
  const auto bytes = static_cast<size_t>(sample_.elements());
  std::memcpy(pixels, pixels_.data() + static_cast<size_t>(i) * bytes, bytes);
  return labels_[static_cast<size_t>(i)];
}

std::unique_ptr<Dataset> open_idx(const std::string& directory, Split split, int classes) {
  const std::string prefix = directory + "/" + (split == Split::kTrain ? "train" : "t10k");
  const std::string images = existing(prefix + "-images-idx3-ubyte");
  const std::string labels = existing(prefix + "-labels-idx1-ubyte");
  return std::make_unique<IdxDataset>(images, labels, classes);
}

}  // namespace convoy
