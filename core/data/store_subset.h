// Some images of a store, and a validation split by chance.
#pragma once

#include <vector>

#include "core/data/image_store.h"

namespace convoy {

class StoreSubset final : public ImageStore {
 public:
  // Image i of it is image `images[i]` of `all`.  Requires: these exist.
  StoreSubset(std::shared_ptr<const ImageStore> all, std::vector<int64_t> images);

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }
  const std::vector<std::string>& class_names() const override { return all_->class_names(); }
  int label(int64_t i) const override { return all_->label(at(i)); }
  std::string name(int64_t i) const override { return all_->name(at(i)); }
  std::span<const std::byte> file(int64_t i, std::vector<std::byte>& scratch) const override {
    return all_->file(at(i), scratch);
  }
  void will_read(int64_t i) const override { all_->will_read(at(i)); }
  void verify(int64_t i) const override { all_->verify(at(i)); }
  std::string fingerprint() const override;

 private:
  int64_t at(int64_t i) const { return images_[static_cast<size_t>(i)]; }

  const std::shared_ptr<const ImageStore> all_;
  const std::vector<int64_t> images_;
};

// About `fraction` of the images for validation, the rest for training.  An image's name alone decides: it stays where
// it is when others come or go, in any order.  Neither side is empty: of a store where chance would have it so, the
// image nearest to the border moves.  Throws Error(kBadData) for fewer than two images.  Requires: 0 < fraction < 1.
ImageSplits split_by_name(const std::shared_ptr<const ImageStore>& all, double fraction);

}  // namespace convoy
