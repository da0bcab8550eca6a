#include "core/data/idx.h"

#include <array>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/data/memory_dataset.h"
#include "core/io/byte_reader.h"
#include "core/io/dims.h"

namespace convoy {
namespace {

constexpr int64_t kMaxFileBytes = int64_t{16} << 30;

std::vector<int64_t> read_dims(ByteReader& reader, const std::string& name) {
  std::array<std::byte, 4> word;
  if (reader.read(word) < word.size()) bad_data(name, "expected an IDX header, found the end of the file");
  const int type = std::to_integer<int>(word[2]), rank = std::to_integer<int>(word[3]);
  if (word[0] != std::byte{0} || word[1] != std::byte{0} || rank < 1 || rank > 4)
    bad_data(name, "expected an IDX file (first bytes 0 0 8 and 1 to 4 dimensions), found " +
                       std::to_string(std::to_integer<int>(word[0])) + " " +
                       std::to_string(std::to_integer<int>(word[1])) + " " + std::to_string(type) + " " +
                       std::to_string(rank));
  if (type != 8) bad_data(name, "expected IDX elements of type 8 (unsigned byte), found type " + std::to_string(type));
  std::vector<int64_t> dims;
  for (int i = 0; i < rank; ++i) {
    if (reader.read(word) < word.size()) bad_data(name, "expected an IDX header, found the end of the file");
    int64_t dim = 0;
    for (const std::byte byte : word) dim = dim << 8 | std::to_integer<int64_t>(byte);
    if (dim < 1 || dim > std::numeric_limits<int>::max())
      bad_data(name, "IDX dimension " + std::to_string(i) + ": expected 1 to 2147483647, found " + std::to_string(dim));
    dims.push_back(dim);
  }
  return dims;
}

void require_labels(const std::vector<int64_t>& dims, const std::string& path) {
  if (dims.size() != 1) bad_data(path, "expected labels (one dimension), found an array of " + dims_text(dims));
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
  const auto bytes = static_cast<int64_t>(file.size());
  const std::optional<int64_t> elements = dims_product(1, array.dims);
  if (!elements || !plausible_inflation(bytes, *elements))
    bad_data(name, "the header promises " + dims_text(array.dims) + " elements, which " + std::to_string(bytes) +
                       " bytes of file cannot be trusted to hold");
  array.elements = reader.read_up_to(*elements);
  const bool more = reader.skip(1) != 0;
  if (more || std::ssize(array.elements) != *elements)
    bad_data(name, "expected " + std::to_string(*elements) + " elements, found " +
                       (more ? "more" : std::to_string(array.elements.size())));
  return array;
}

ImagesHeader read_images_header(const std::string& path) {
  constexpr int64_t kEnough = 4096;  // inflated or not
  const std::vector<std::byte> bytes = read_beginning(path, kEnough);
  ByteReader reader(bytes, path);
  const std::vector<int64_t> dims = read_dims(reader, path);
  return images_header(dims, path);
}

std::unique_ptr<Dataset> open_idx_files(const std::string& images_path, const std::string& labels_path, int classes,
                                        std::optional<int> ignored) {
  const IdxArray labels = parse_idx(read_file(labels_path, kMaxFileBytes), labels_path);
  require_labels(labels.dims, labels_path);
  IdxArray images = parse_idx(read_file(images_path, kMaxFileBytes), images_path);
  return std::make_unique<MemoryDataset>(images_header(images.dims, images_path), classes, std::move(images.elements),
                                         std::vector<int32_t>(labels.elements.begin(), labels.elements.end()),
                                         MemoryDataset::Names{images_path, labels_path}, ignored);
}

std::unique_ptr<Dataset> open_idx(const std::string& directory, Split split, int classes) {
  const std::string prefix = directory + "/" + (split == Split::kTrain ? "train" : "t10k");
  const std::string images = existing(prefix + "-images-idx3-ubyte");
  const std::string labels = existing(prefix + "-labels-idx1-ubyte");
  return open_idx_files(images, labels, classes);
}

}  // namespace convoy
