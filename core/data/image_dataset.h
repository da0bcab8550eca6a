// Images of any size as samples of one size: read, decoded, cropped and resized.
//
// Only what the crop needs is decoded, at the least scale that is good enough.  In training the crop is drawn anew in
// each epoch, as a pure function of (seed, epoch, sample).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/data/dataset.h"
#include "core/data/image_store.h"
#include "core/image/crop.h"

namespace convoy {

struct ImageCrop {
  enum class Type {
    kRandomResized,  // a part of random size, place and aspect ratio
    kCentre,         // the middle, in the aspect ratio of the sample
    kStretch,        // everything, whatever that does to the aspect ratio
  };
  Type type = Type::kCentre;
  RandomCropOptions random = {};
  double central = 0.875;  // kCentre: share of what would fit; 0.875 is 224 of 256
};

class ImageDataset final : public Dataset {
 public:
  // `sample` is [1,H,W,C] with 1 or 3 channels.  Throws Error(kBadData) where the store has more than `classes`.
  ImageDataset(std::shared_ptr<const ImageStore> store, const Shape& sample, int classes, const ImageCrop& crop,
               uint64_t seed);

  int64_t size() const override { return store_->size(); }
  Shape sample() const override { return sample_; }
  int classes() const override { return classes_; }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  void will_read(int64_t i) const override { store_->will_read(i); }
  std::string fingerprint() const override { return store_->fingerprint(); }

 private:
  Box part(ImageSize size, int64_t i, int64_t epoch) const;  // that becomes the sample

  const std::shared_ptr<const ImageStore> store_;
  const Shape sample_;
  const int classes_;
  const ImageCrop crop_;
  const uint64_t key_;
};

}  // namespace convoy
