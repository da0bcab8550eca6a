// Which part of an image is looked at.
#pragma once

#include <cstdint>

#include "core/image/image.h"

namespace convoy {

struct RandomCropOptions {
  double scale_min = 0.08, scale_max = 1;           // part of the area
  double ratio_min = 3.0 / 4, ratio_max = 4.0 / 3;  // width / height
};

// For training, as torchvision's RandomResizedCrop: ten tries of a random area and a random ratio, then the largest
// central part whose ratio is allowed.  A pure function of its arguments; key: random_key(RandomUse::kAugment, seed).
// Requires: a size >= 1x1, 0 < min <= max.
Rect random_resized_crop(ImageSize image, const RandomCropOptions& options, uint64_t key, int64_t epoch,
                         int64_t sample);

// For evaluation: what torchvision's Resize(resized) and CenterCrop(crop) leave, as a part of the original image, so
// that one resize to `crop` makes it.  The shorter side becomes `resized`.  Requires: 1 <= crop sides <= resized.
Box centre_crop(ImageSize image, int resized, ImageSize crop);

}  // namespace convoy
