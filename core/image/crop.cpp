#include "core/image/crop.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/sample_random.h"

namespace convoy {
namespace {

// As Python's round(): halves to even.
int rounded(double value) { return static_cast<int>(std::nearbyint(value)); }

Rect central(ImageSize image, const RandomCropOptions& options) {
  const double ratio = static_cast<double>(image.width) / image.height;
  int width = image.width, height = image.height;
  if (ratio < options.ratio_min) height = rounded(width / options.ratio_min);
  if (ratio > options.ratio_max) width = rounded(height * options.ratio_max);
  width = std::clamp(width, 1, image.width);
  height = std::clamp(height, 1, image.height);
  return {(image.width - width) / 2, (image.height - height) / 2, width, height};
}

// One side of centre_crop(): `resized` pixels of `original` ones, of which the middle `crop` are kept.
void crop_side(int original, int64_t resized, int crop, double& begin, double& end) {
  const double first = std::nearbyint(static_cast<double>(resized - crop) / 2.0);
  begin = first * original / static_cast<double>(resized);
  end = std::min<double>(original, (first + crop) * original / static_cast<double>(resized));
}

}  // namespace

Rect random_resized_crop(ImageSize image, const RandomCropOptions& options, uint64_t key, int64_t epoch,
                         int64_t sample) {
  CHECK(image.width >= 1 && image.height >= 1, "random_resized_crop: size");
  CHECK(options.scale_min > 0 && options.scale_min <= options.scale_max && options.ratio_min > 0 &&
            options.ratio_min <= options.ratio_max,
        "random_resized_crop: options");
  SampleRandom random(key, epoch, sample, RandomStream::kCrop);
  const double area = static_cast<double>(image.width) * image.height;
  const double log_min = std::log(options.ratio_min), log_max = std::log(options.ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * random.uniform(options.scale_min, options.scale_max);
    const double ratio = std::exp(random.uniform(log_min, log_max));
    const double width = std::nearbyint(std::sqrt(target * ratio)), height = std::nearbyint(std::sqrt(target / ratio));
    if (width < 1 || width > image.width || height < 1 || height > image.height) continue;
    Rect crop = {.width = static_cast<int>(width), .height = static_cast<int>(height)};
    crop.y = random.below(image.height - crop.height + 1);
    crop.x = random.below(image.width - crop.width + 1);
    return crop;
  }
  return central(image, options);
}

Box centre_crop(ImageSize image, int resized, ImageSize crop) {
  CHECK(image.width >= 1 && image.height >= 1 && crop.width >= 1 && crop.height >= 1 && crop.width <= resized &&
            crop.height <= resized,
        "centre_crop");
  const int shorter = std::min(image.width, image.height);
  const auto side = [&](int original) { return int64_t{resized} * original / shorter; };
  Box box;
  crop_side(image.width, side(image.width), crop.width, box.left, box.right);
  crop_side(image.height, side(image.height), crop.height, box.top, box.bottom);
  return box;
}

}  // namespace convoy
