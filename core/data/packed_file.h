// Our own file of images: mapped, read-only, any image at the cost of one look-up.  docs/packed-format.md.
#pragma once

#include "core/base/mapped_file.h"
#include "core/data/image_store.h"

namespace convoy {

bool is_packed_file(const std::string& path);  // by its first bytes; false for what cannot be read

class PackedFile final : public ImageStore {
 public:
  // Checks the whole index, which is for files from anywhere: nothing in it is trusted.
  // Throws Error(kNoInput, kBadData) naming the file.
  explicit PackedFile(const std::string& path);

  int64_t size() const override { return images_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  int label(int64_t i) const override;
  std::string name(int64_t i) const override;
  std::span<const std::byte> file(int64_t i, std::vector<std::byte>& scratch) const override;
  void will_read(int64_t i) const override;
  // Compares the checksum of image i.  Reading does not: it would read all of an image of which a crop needs a part,
  // and an image that is stored decoded is used in little more time than that.
  void verify(int64_t i) const override;
  std::string fingerprint() const override;  // of the index, and so of every byte

 private:
  std::string_view text() const;

  const MappedFile file_;
  int64_t images_ = 0;
  const std::byte* records_ = nullptr;  // [images_] of 32 bytes, not aligned
  std::span<const std::byte> index_;    // records and text
  std::vector<std::string> class_names_;
};

}  // namespace convoy
