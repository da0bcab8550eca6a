#include "core/data/augment_policy.h"

#include <cmath>

#include "core/base/error.h"
#include "core/image/color.h"

namespace convoy {
namespace {

// The strongest magnitude of each kind of operation.
struct Ranges {
  float shear, translate_x, translate_y, rotate, enhance, posterize;
};

Ranges of_rand_augment(int width, int height) {
  constexpr double kPart = 150.0 / 331.0;
  return {0.3F, static_cast<float>(kPart * width), static_cast<float>(kPart * height), 30.0F, 0.9F, 4.0F};
}
constexpr Ranges kTrivialAugmentWide = {0.99F, 32.0F, 32.0F, 135.0F, 0.99F, 6.0F};

// As torch.linspace(begin, end, kMagnitudes)[i]: floats, from both ends.
float magnitude_between(float begin, float end, int i) {
  const float step = (end - begin) / (kMagnitudes - 1);
  return i < kMagnitudes / 2 ? begin + step * static_cast<float>(i)
                             : end - step * static_cast<float>(kMagnitudes - 1 - i);
}

float magnitude_of(PolicyOp op, const Ranges& ranges, int i) {
  switch (op) {
    case PolicyOp::kIdentity:
    case PolicyOp::kAutoContrast:
    case PolicyOp::kEqualize: return 0;
    case PolicyOp::kShearX:
    case PolicyOp::kShearY: return magnitude_between(0, ranges.shear, i);
    case PolicyOp::kTranslateX: return magnitude_between(0, ranges.translate_x, i);
    case PolicyOp::kTranslateY: return magnitude_between(0, ranges.translate_y, i);
    case PolicyOp::kRotate: return magnitude_between(0, ranges.rotate, i);
    case PolicyOp::kBrightness:
    case PolicyOp::kColour:
    case PolicyOp::kContrast:
    case PolicyOp::kSharpness: return magnitude_between(0, ranges.enhance, i);
    case PolicyOp::kPosterize:
      return 8 - std::nearbyint(static_cast<float>(i) / (static_cast<float>(kMagnitudes - 1) / ranges.posterize));
    case PolicyOp::kSolarize: return magnitude_between(255, 0, i);
  }
  return 0;
}

bool has_sign(PolicyOp op) { return op >= PolicyOp::kShearX && op <= PolicyOp::kSharpness; }

PolicyStep make_step(SampleRandom& random, PolicyOp op, const Ranges& ranges, int magnitude) {
  PolicyStep step = {op, magnitude_of(op, ranges, magnitude)};
  if (has_sign(op) && random.below(2) == 1) step.magnitude = -step.magnitude;
  return step;
}

PolicyOp draw_op(SampleRandom& random) { return static_cast<PolicyOp>(random.below(kPolicyOps)); }

double degrees(double radians) { return radians * (180 / 3.14159265358979323846); }

}  // namespace

PolicyStep draw_rand_augment(SampleRandom& random, int magnitude, int width, int height) {
  CHECK(magnitude >= 0 && magnitude < kMagnitudes, "draw_rand_augment");
  return make_step(random, draw_op(random), of_rand_augment(width, height), magnitude);
}

PolicyStep draw_trivial_augment(SampleRandom& random) {
  const PolicyOp op = draw_op(random);
  return make_step(random, op, kTrivialAugmentWide, random.below(kMagnitudes));
}

void apply(const PolicyStep& step, const ImageView& image, Interpolation interpolation, uint8_t fill) {
  const double m = step.magnitude;
  const auto factor = static_cast<float>(1 + m);
  const auto affine = [&](const AffineOptions& options) {
    transform(image, affine_matrix(options), interpolation, fill);
  };
  switch (step.op) {
    case PolicyOp::kIdentity: return;
    case PolicyOp::kShearX: return affine({.shear_x = degrees(std::atan(m))});
    case PolicyOp::kShearY: return affine({.shear_y = degrees(std::atan(m))});
    case PolicyOp::kTranslateX: return affine({.translate_x = std::trunc(m)});
    case PolicyOp::kTranslateY: return affine({.translate_y = std::trunc(m)});
    case PolicyOp::kRotate: return transform(image, rotation_matrix(m, image.width, image.height), interpolation, fill);
    case PolicyOp::kBrightness: return adjust_brightness(image, factor);
    case PolicyOp::kColour: return adjust_saturation(image, factor);
    case PolicyOp::kContrast: return adjust_contrast(image, factor);
    case PolicyOp::kSharpness: return adjust_sharpness(image, factor);
    case PolicyOp::kPosterize: return posterize(image, static_cast<int>(m));
    case PolicyOp::kSolarize: return solarize(image, static_cast<float>(m));
    case PolicyOp::kAutoContrast: return autocontrast(image);
    case PolicyOp::kEqualize: return equalize(image);
  }
}

}  // namespace convoy
