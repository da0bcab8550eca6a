// Encoded images with labels, found by number: a folder, a manifest, tar shards, or a packed file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

// Threads: every method may be called by any thread at any time.
class ImageStore {
 public:
  virtual ~ImageStore() = default;

  virtual int64_t size() const = 0;
  // By label, as many as there are classes; numbers as text where nobody named them.
  virtual const std::vector<std::string>& class_names() const = 0;
  virtual int label(int64_t i) const = 0;         // 0 <= label < class_names().size()
  virtual std::string name(int64_t i) const = 0;  // for people: "train/n0144/a.jpg", "shard-003.tar: 0017.jpg"

  // The file of image i, in memory of the store or in `scratch`; valid until `scratch` is used again.
  // Throws Error(kNoInput, kBadData) naming the image.
  virtual std::span<const std::byte> file(int64_t i, std::vector<std::byte>& scratch) const = 0;

  virtual void will_read(int64_t) const {}  // a hint: soon

  // What can be told of image i without decoding it: a store that holds checksums compares them here, and only here.
  // Throws Error(kBadData) naming the image.
  virtual void verify(int64_t) const {}

  // Equal for equal contents, wherever they lie.  Of many files it covers names, sizes and labels, not every byte.
  virtual std::string fingerprint() const = 0;
};

// What `path` is, is told by itself: a directory of classes (or with train/ and perhaps val/ of them, then all images
// of both), a .csv or .jsonl manifest, a .tar or a directory or pattern of them, a packed file. Throws Error: kNoInput
// where there is nothing, kBadData for what is not one of these.
std::unique_ptr<ImageStore> open_image_store(const std::string& path);

// Labels mean the same in both.
struct ImageSplits {
  std::shared_ptr<const ImageStore> train;
  std::shared_ptr<const ImageStore> validation;  // null where `path` has none
};

// Directories with train/ and perhaps one of these beside it, and manifests with such a column `split`, say themselves
// what is for validation; the first of these names that is there counts.  Of all else, everything is for training.
inline constexpr std::array<std::string_view, 4> kValidationNames = {"val", "valid", "validation", "test"};
ImageSplits open_image_splits(const std::string& path);

}  // namespace convoy
