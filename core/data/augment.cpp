#include "core/data/augment.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/rng.h"
#include "core/base/sample_random.h"
#include "core/data/augment_policy.h"
#include "core/image/color.h"

namespace convoy {
namespace {

float draw_factor(double strength, SampleRandom& random) {
  return static_cast<float>(random.uniform(std::max(0.0, 1 - strength), 1 + strength));
}

void jitter(const AugmentOptions& options, const ImageView& image, SampleRandom random) {
  int order[4] = {0, 1, 2, 3};
  for (int k = 3; k > 0; --k) std::swap(order[k], order[random.below(k + 1)]);
  // All are drawn always, so that none depends on which are on.
  const float brightness = draw_factor(options.brightness, random), contrast = draw_factor(options.contrast, random),
              saturation = draw_factor(options.saturation, random);
  const double turn = random.uniform(-options.hue, options.hue);
  for (const int kind : order) {
    if (kind == 0 && options.brightness > 0) adjust_brightness(image, brightness);
    if (kind == 1 && options.contrast > 0) adjust_contrast(image, contrast);
    if (kind == 2 && options.saturation > 0) adjust_saturation(image, saturation);
    if (kind == 3 && options.hue > 0) adjust_hue(image, turn);
  }
}

void rotate(const AugmentOptions& options, const ImageView& image, SampleRandom random) {
  const double degrees = random.uniform(-options.rotate, options.rotate);
  transform(image, rotation_matrix(degrees, image.width, image.height), options.interpolation, options.fill);
}

void follow_policy(const AugmentOptions& options, const ImageView& image, SampleRandom random) {
  if (options.policy == AugmentPolicy::kTrivialAugment)
    apply(draw_trivial_augment(random), image, options.interpolation, options.fill);
  if (options.policy == AugmentPolicy::kRandAugment)
    for (int k = 0; k < options.policy_ops; ++k)
      apply(draw_rand_augment(random, options.policy_magnitude, image.width, image.height), image,
            options.interpolation, options.fill);
}

}  // namespace

void apply_costly(const AugmentOptions& options, const ImageView& image, uint64_t key, int64_t epoch, int64_t i) {
  const auto stream = [&](RandomStream kind) { return SampleRandom(key, epoch, i, kind); };
  if (options.jitters()) jitter(options, image, stream(RandomStream::kColour));
  if (options.rotate > 0) rotate(options, image, stream(RandomStream::kRotate));
  if (options.policy != AugmentPolicy::kNone) follow_policy(options, image, stream(RandomStream::kPolicy));
}

AugmentedDataset::AugmentedDataset(std::unique_ptr<Dataset> plain, const AugmentOptions& options, uint64_t seed)
    : plain_(std::move(plain)), options_(options), key_(random_key(RandomUse::kAugment, seed)) {
  CHECK(options_.hue <= 0.5 && options_.policy_magnitude >= 0 && options_.policy_magnitude < kMagnitudes,
        "AugmentOptions");
  const int channels = plain_->sample().c;
  if (options_.costly() && channels != 1 && channels != 3)
    throw Error(ExitCode::kConfig,
                "augmentation of colours, rotation and policies: expected images of 1 or 3 channels, "
                "found " +
                    std::to_string(channels));
}

int AugmentedDataset::read(int64_t i, int64_t epoch, uint8_t* pixels) const {
  const int label = plain_->read(i, epoch, pixels);
  const Shape s = plain_->sample();
  const CheapAugment cheap = draw_cheap(options_.cheap, s, key_, epoch, i);
  if (cheap.moves()) {
    thread_local std::vector<uint8_t> copy;
    copy.assign(pixels, pixels + s.elements());
    apply({.flip = cheap.flip, .dx = cheap.dx, .dy = cheap.dy}, s, copy.data(), pixels, options_.fill);
  }
  if (options_.costly()) apply_costly(options_, {pixels, s.w, s.h, s.c}, key_, epoch, i);
  erase(cheap, s, pixels, options_.fill);
  return label;
}

}  // namespace convoy
