// Samples of another data set, changed at random.
//
// Order: flip, shift (pad and crop), colour jitter, rotation, RandAugment or TrivialAugment, erasing.  Each draw is a
// pure function of (seed, epoch, sample), and each kind has a stream of its own: one that is switched on changes no
// draw of another.  Pixels do not depend on threads, ranks or order.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/data/cheap_augment.h"
#include "core/data/dataset.h"
#include "core/image/affine.h"
#include "core/image/image_view.h"

namespace convoy {

enum class AugmentPolicy { kNone, kRandAugment, kTrivialAugment };

// All is off by default.
struct AugmentOptions {
  CheapAugmentOptions cheap = {};

  // As torchvision's ColorJitter(brightness, contrast, saturation, hue): factors of max(0, 1 - x) .. 1 + x, turns of
  // -hue .. hue (at most 0.5), in random order.
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;

  double rotate = 0;  // degrees; the angle is drawn from -rotate .. rotate

  AugmentPolicy policy = AugmentPolicy::kNone;
  int policy_ops = 2;        // RandAugment's steps
  int policy_magnitude = 9;  // RandAugment's, 0 .. 30

  Interpolation interpolation = Interpolation::kNearest;  // of rotation and policy
  uint8_t fill = 0;                                       // of all pixels that come from nowhere

  bool jitters() const { return brightness > 0 || contrast > 0 || saturation > 0 || hue > 0; }
  // Is there anything that the device cannot do itself?
  bool costly() const { return jitters() || rotate > 0 || policy != AugmentPolicy::kNone; }
};

// What lies between shift and erasing, in place.  A pure function of its arguments.  Requires: 1 or 3 channels.
void apply_costly(const AugmentOptions& options, const ImageView& image, uint64_t key, int64_t epoch, int64_t i);

// Threads: any, as of every Dataset.  Memory: each thread keeps a few copies of one sample, and allocates no more.
class AugmentedDataset final : public Dataset {
 public:
  // Throws Error(kConfig) where the options are costly and samples have neither 1 nor 3 channels.
  AugmentedDataset(std::unique_ptr<Dataset> plain, const AugmentOptions& options, uint64_t seed);

  int64_t size() const override { return plain_->size(); }
  Shape sample() const override { return plain_->sample(); }
  int classes() const override { return plain_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  void will_read(int64_t i) const override { plain_->will_read(i); }
  // That of the plain samples: how they are augmented is configuration.
  std::string fingerprint() const override { return plain_->fingerprint(); }

 private:
  const std::unique_ptr<Dataset> plain_;
  const AugmentOptions options_;
  const uint64_t key_;
};

}  // namespace convoy
