#include "core/data/npz.h"

#include <span>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/data/memory_dataset.h"
#include "core/io/dims.h"
#include "core/io/npy.h"
#include "core/io/zip.h"

namespace convoy {
namespace {

// Members of the archive.
MemoryDataset::Names names_of(Split split) {
  const std::string suffix = split == Split::kTrain ? "train.npy" : "test.npy";
  return {"x_" + suffix, "y_" + suffix};
}

std::vector<int32_t> labels_of(const NpyArray& array, const std::string& name) {
  const std::vector<int64_t>& dims = array.dims;
  if (dims.size() == 1 || (dims.size() == 2 && dims[1] == 1)) return npy_integers(array, name);
  throw Error(ExitCode::kBadData, name + ": expected labels (n or nx1), found an array of " + dims_text(dims) +
                                      (dims.size() == 2 ? ": one-hot labels are saved as y.argmax(axis=1)" : ""));
}

ImagesHeader checked_header(const std::string& type, std::span<const int64_t> dims, const std::string& name) {
  ImagesHeader header = images_header(dims, name);
  require_npy_pixels(type, name);
  return header;
}

std::unique_ptr<Dataset> make_dataset(NpyArray images, const NpyArray& labels, int classes,
                                      const MemoryDataset::Names& names, std::optional<int> ignored) {
  const ImagesHeader header = checked_header(images.type, images.dims, names.images);
  return std::make_unique<MemoryDataset>(header, classes, std::move(images.bytes), labels_of(labels, names.labels),
                                         names, ignored);
}

NpyArray read_npy(const std::string& path) {
  const InputFile file(path);
  std::vector<uint8_t> bytes(static_cast<size_t>(file.size()));
  file.read_at(0, std::as_writable_bytes(std::span(bytes)));
  return parse_npy(std::move(bytes), path);
}

ImagesHeader header_of(std::span<const std::byte> beginning, const std::string& name) {
  const NpyHeader header = parse_npy_header(beginning, name);
  return checked_header(header.type, header.dims, name);
}

}  // namespace

std::unique_ptr<Dataset> open_npz(const std::string& path, Split split, int classes, std::optional<int> ignored) {
  const ZipArchive archive(path);
  const MemoryDataset::Names members = names_of(split);
  const MemoryDataset::Names names = {path + ": " + members.images, path + ": " + members.labels};
  const NpyArray labels = parse_npy(archive.read(members.labels), names.labels);
  return make_dataset(parse_npy(archive.read(members.images), names.images), labels, classes, names, ignored);
}

std::unique_ptr<Dataset> open_npy(const std::string& images_path, const std::string& labels_path, int classes,
                                  std::optional<int> ignored) {
  const NpyArray labels = read_npy(labels_path);
  return make_dataset(read_npy(images_path), labels, classes, {images_path, labels_path}, ignored);
}

ImagesHeader read_npz_header(const std::string& path, Split split) {
  const std::string member = names_of(split).images;
  const std::vector<uint8_t> beginning = ZipArchive(path).read_beginning(member, kMaxNpyHeaderBytes);
  return header_of(std::as_bytes(std::span(beginning)), path + ": " + member);
}

ImagesHeader read_npy_header(const std::string& images_path) {
  return header_of(read_beginning(images_path, kMaxNpyHeaderBytes), images_path);
}

}  // namespace convoy
