// Random changes of images without tuning: RandAugment (Cubuk et al., 2019) and TrivialAugment (Müller and Hutter,
// 2021), with the operations, ranges and 31 magnitudes of torchvision's RandAugment and TrivialAugmentWide.
#pragma once

#include "core/base/sample_random.h"
#include "core/image/affine.h"
#include "core/image/image_view.h"

namespace convoy {

inline constexpr int kMagnitudes = 31;

enum class PolicyOp {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColour,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kAutoContrast,
  kEqualize,
};
inline constexpr int kPolicyOps = 14;

// What torchvision's _apply_op() is given.
struct PolicyStep {
  PolicyOp op = PolicyOp::kIdentity;
  double magnitude = 0;
};

// One step of RandAugment for images of this size.  Requires: 0 <= magnitude < kMagnitudes.
PolicyStep draw_rand_augment(SampleRandom& random, int magnitude, int width, int height);
// The only step of TrivialAugmentWide.
PolicyStep draw_trivial_augment(SampleRandom& random);

void apply(const PolicyStep& step, const ImageView& image, Interpolation interpolation, uint8_t fill);

}  // namespace convoy
