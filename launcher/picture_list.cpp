#include "launcher/picture_list.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/data/image_files.h"
#include "core/data/image_folder.h"
#include "core/io/dims.h"
#include "core/io/npy.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostListBytes = int64_t{1} << 30;

[[noreturn]] void no_images(const std::string& where) {
  throw Error(ExitCode::kNoInput, where + ": expected images, found none");
}

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace

PictureList::PictureList(const std::vector<std::string>& words, const Shape& sample, const ImageCrop& crop)
    : sample_(sample), files_(std::make_shared<ImageFiles>("", std::vector<std::string>())) {
  for (const std::string& word : words) add(word);
  if (size_ == 0) no_images(words.empty() ? "predict" : words.front());
  bytes_each_ = sample.elements() * (floats_ ? size_of(Dtype::kF32) : 1);
  if (files_->size() == 0) return;
  if (sample.c != 1 && sample.c != 3) {
    bad_data(files_->name(0), "the network looks at images of " + std::to_string(sample.c) +
                                  " channels, and image files have 1 or 3; give an array (.npy)");
  }
  images_ = std::make_unique<ImageDataset>(files_, sample, 1, crop, 0);
}

PictureList::~PictureList() = default;

void PictureList::add(const std::string& word) {
  std::error_code error;
  const fs::file_status status = fs::status(word, error);
  if (!fs::exists(status)) throw Error(ExitCode::kNoInput, word + ": no such file or directory");
  if (fs::is_directory(status)) {
    const std::vector<std::string> found = images_below(word);
    if (found.empty()) no_images(word);
    for (const std::string& path : found) add_file(path);
    return;
  }
  const std::string extension = lower_extension(word);
  if (extension == ".npy") return add_array(word);
  if (extension == ".txt") return add_list(word);
  add_file(word);
}

void PictureList::add_file(std::string_view path) {
  if (floats_) bad_data(std::string(path), "an image cannot be mixed with arrays of f32");
  if (parts_.empty() || parts_.back().array) parts_.push_back({size_, files_->size(), nullptr});
  files_->add(path, 0);
  ++size_;
}

void PictureList::add_list(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path, kMostListBytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find('\0') != std::string_view::npos) bad_data(path, "expected a list of paths, found a binary file");
    if (!line.empty()) add_file(line);
  }
}

void PictureList::add_array(const std::string& path) {
  const NpyHeader header = parse_npy_header(read_beginning(path, kMaxNpyHeaderBytes), path);
  const bool floats = header.type == "<f4";
  if (!floats && header.type != "|u1") {
    bad_data(path, "expected pixels (|u1) or what the first layer reads (<f4), found elements of type " + header.type);
  }
  if (size_ > 0 && floats != floats_) bad_data(path, "arrays of f32 cannot be mixed with images");
  std::vector<int64_t> dims = header.dims;
  if (dims.size() == 3 && sample_.c == 1) dims.push_back(1);
  if (dims.size() != 4 || dims[1] != sample_.h || dims[2] != sample_.w || dims[3] != sample_.c) {
    bad_data(path, "expected an array of n" + std::string("x") + std::to_string(sample_.h) + "x" +
                       std::to_string(sample_.w) + "x" + std::to_string(sample_.c) + ", found " +
                       dims_text(header.dims));
  }
  const int64_t each = sample_.elements() * (floats ? size_of(Dtype::kF32) : 1);
  auto array = std::make_unique<Array>(Array{InputFile(path), header.data_offset});
  if (array->file.size() - header.data_offset != dims[0] * each) {
    bad_data(path, "expected " + std::to_string(dims[0] * each) + " bytes of elements, found " +
                       std::to_string(array->file.size() - header.data_offset));
  }
  if (dims[0] == 0) no_images(path);
  floats_ = floats;
  parts_.push_back({size_, 0, std::move(array)});
  size_ += dims[0];
}

const PictureList::Part& PictureList::part_of(int64_t i) const {
  CHECK(i >= 0 && i < size_);
  return *std::prev(std::ranges::upper_bound(parts_, i, {}, &Part::first));
}

std::string PictureList::name(int64_t i) const {
  const Part& part = part_of(i);
  if (!part.array) return files_->name(part.first_file + i - part.first);
  return part.array->file.path() + "[" + std::to_string(i - part.first) + "]";
}

void PictureList::read(int64_t i, std::span<std::byte> to) const {
  CHECK(static_cast<int64_t>(to.size()) == bytes_each_);
  const Part& part = part_of(i);
  if (part.array) return part.array->file.read_at(part.array->offset + (i - part.first) * bytes_each_, to);
  images_->read(part.first_file + i - part.first, 0, reinterpret_cast<uint8_t*>(to.data()));
}

std::string PictureList::fingerprint() const {
  Hash128 hash;
  for (int64_t i = 0; i < size_; ++i) {
    const std::string line = name(i) + "\n";
    hash.update(std::as_bytes(std::span(line)));
  }
  return std::to_string(size_) + " images, names " + hash.hex();
}

}  // namespace convoy
