#include "core/data/memory_dataset.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/io/dims.h"

namespace convoy {
namespace {

// Labels of one byte are hashed as such, which is what IDX files hold and checkpoints have on record.
std::string hash_labels(const std::vector<int32_t>& labels) {
  const auto fits = [](int32_t label) { return label <= std::numeric_limits<uint8_t>::max(); };
  if (!std::all_of(labels.begin(), labels.end(), fits)) return hash128_hex(std::as_bytes(std::span(labels)));
  const std::vector<uint8_t> bytes(labels.begin(), labels.end());
  return hash128_hex(std::as_bytes(std::span(bytes)));
}

}  // namespace

ImagesHeader images_header(std::span<const int64_t> dims, const std::string& name) {
  const std::string found = "found an array of " + dims_text(dims);
  if (dims.size() != 3 && dims.size() != 4) bad_data(name, "expected images (n, h, w and perhaps c), " + found);
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) bad_data(name, "expected one image or more, " + found);
  const int64_t bytes = dims_product(1, dims.subspan(1)).value_or(kMaxImageBytes + 1);
  if (bytes > kMaxImageBytes)
    bad_data(name, "expected images of at most " + std::to_string(kMaxImageBytes) + " bytes, " + found);
  return {dims[0],
          {1, static_cast<int>(dims[1]), static_cast<int>(dims[2]), dims.size() == 4 ? static_cast<int>(dims[3]) : 1}};
}

MemoryDataset::MemoryDataset(const ImagesHeader& images, int classes, std::vector<uint8_t> pixels,
                             std::vector<int32_t> labels, const Names& names, std::optional<int> ignored)
    : sample_(images.sample), classes_(classes), pixels_(std::move(pixels)), labels_(std::move(labels)) {
  CHECK(std::ssize(pixels_) == images.size * sample_.elements());
  if (size() != images.size)
    bad_data(names.labels, "expected " + std::to_string(images.size) + " labels, as many as images in " + names.images +
                               ", found " + std::to_string(size()));
  const auto wrong = std::find_if(labels_.begin(), labels_.end(),
                                  [&](int label) { return (label < 0 || label >= classes) && label != ignored; });
  if (wrong != labels_.end())
    bad_data(names.labels, "sample " + std::to_string(wrong - labels_.begin()) + ": expected a label of 0 to " +
                               std::to_string(classes - 1) + ", found " + std::to_string(*wrong));
  if (ignored) {
    leave_out(*ignored);
    if (labels_.empty())
      bad_data(names.labels, "every sample has the label to be ignored, " + std::to_string(*ignored));
  }
  fingerprint_ = hash128_hex(to_string(sample_) + " " + std::to_string(classes) + " " +
                             hash128_hex(std::as_bytes(std::span(pixels_))) + hash_labels(labels_));
}

void MemoryDataset::leave_out(int label) {
  const auto bytes = static_cast<size_t>(sample_.elements());
  size_t kept = 0;
  for (size_t i = 0; i < labels_.size(); ++i) {
    if (labels_[i] == label) continue;
    if (kept < i) std::memcpy(pixels_.data() + kept * bytes, pixels_.data() + i * bytes, bytes);
    labels_[kept++] = labels_[i];
  }
  labels_.resize(kept);
  pixels_.resize(kept * bytes);
}

int MemoryDataset::read(int64_t i, int64_t, uint8_t* pixels) const {
  const auto bytes = static_cast<size_t>(sample_.elements());
  std::memcpy(pixels, pixels_.data() + static_cast<size_t>(i) * bytes, bytes);
  return labels_[static_cast<size_t>(i)];
}

}  // namespace convoy
