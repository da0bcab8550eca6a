#include "core/data/cheap_augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/base/sample_random.h"
#include "core/base/simd.h"

namespace convoy {
namespace {

// As torchvision.transforms.RandomErasing.get_params(): ten tries, then nothing is erased.
void draw_erasing(const CheapAugmentOptions& options, const Shape& s, SampleRandom& random, CheapAugment& augment) {
  if (!random.chance(options.erase)) return;
  const double log_min = std::log(options.erase_ratio_min), log_max = std::log(options.erase_ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area =
        s.h * static_cast<double>(s.w) * random.uniform(options.erase_scale_min, options.erase_scale_max);
    const double ratio = std::exp(random.uniform(log_min, log_max));
    const double h = std::nearbyint(std::sqrt(area * ratio)), w = std::nearbyint(std::sqrt(area / ratio));
    if (h >= s.h || w >= s.w) continue;
    augment.y0 = random.below(s.h - static_cast<int>(h) + 1);
    augment.x0 = random.below(s.w - static_cast<int>(w) + 1);
    augment.y1 = augment.y0 + static_cast<int>(h);
    augment.x1 = augment.x0 + static_cast<int>(w);
    return;
  }
}

// As in "Improved Regularization of Convolutional Neural Networks with Cutout" (DeVries and Taylor, 2017).
void draw_cutout(int side, const Shape& s, SampleRandom& random, CheapAugment& augment) {
  const int y = random.below(s.h), x = random.below(s.w);
  augment.y0 = std::max(0, y - side / 2);
  augment.x0 = std::max(0, x - side / 2);
  augment.y1 = std::min(s.h, y - side / 2 + side);
  augment.x1 = std::min(s.w, x - side / 2 + side);
}

void reverse_grey(const uint8_t* from, uint8_t* to, int pixels) {
  simd([=]() CONVOY_INLINE {
    // Copies: a store of a byte might change what was captured, as far as the compiler knows.
    const uint8_t* const last = from + pixels - 1;
    uint8_t* const out = to;
    const int n = pixels;
    for (int x = 0; x < n; ++x) out[x] = last[-x];
  });
}

// Four bytes at a time, of which the next pixel overwrites the last; the outer pixels have no such neighbour.
void reverse_rgb(const uint8_t* from, uint8_t* to, int pixels) {
  const uint8_t* const last = from + int64_t{pixels - 1} * 3;
  std::memcpy(to, last, 3);
  for (int x = 1; x < pixels - 1; ++x) std::memcpy(to + 3 * x, last - 3 * x, 4);
  std::memcpy(to + int64_t{pixels - 1} * 3, from, 3);
}

// `pixels` of `from` in reverse order.
void reverse_row(const uint8_t* from, uint8_t* to, int pixels, int channels) {
  if (pixels == 0) return;
  if (channels == 1) return reverse_grey(from, to, pixels);
  if (channels == 3) return reverse_rgb(from, to, pixels);
  for (int x = 0; x < pixels; ++x)
    std::memcpy(to + int64_t{x} * channels, from + int64_t{pixels - 1 - x} * channels, static_cast<size_t>(channels));
}

}  // namespace

CheapAugment draw_cheap(const CheapAugmentOptions& options, const Shape& sample, uint64_t key, int64_t epoch,
                        int64_t i) {
  CHECK(options.cutout == 0 || options.erase == 0, "one of cutout and random erasing");
  CheapAugment augment;
  if (options.flip > 0) augment.flip = SampleRandom(key, epoch, i, RandomStream::kFlip).chance(options.flip);
  if (options.pad_crop > 0) {
    SampleRandom random(key, epoch, i, RandomStream::kShift);
    augment.dy = random.below(2 * options.pad_crop + 1) - options.pad_crop;
    augment.dx = random.below(2 * options.pad_crop + 1) - options.pad_crop;
  }
  SampleRandom random(key, epoch, i, RandomStream::kErase);
  if (options.erase > 0) draw_erasing(options, sample, random, augment);
  if (options.cutout > 0) draw_cutout(options.cutout, sample, random, augment);
  return augment;
}

void apply(const CheapAugment& augment, const Shape& sample, const uint8_t* from, uint8_t* to, uint8_t fill) {
  const auto [n, h, w, c] = sample;
  const auto row_bytes = static_cast<size_t>(w) * static_cast<size_t>(c);
  const int begin = std::clamp(-augment.dx, 0, w), end = std::clamp(w - augment.dx, begin, w);   // columns with pixels
  const int64_t source = int64_t{augment.flip ? w - augment.dx - end : begin + augment.dx} * c;  // of their first
  for (int y = 0; y < h; ++y, to += row_bytes) {
    const int from_y = y + augment.dy;
    if (from_y < 0 || from_y >= h) {
      std::memset(to, fill, row_bytes);
      continue;
    }
    const uint8_t* row = from + static_cast<size_t>(from_y) * row_bytes + source;
    std::memset(to, fill, static_cast<size_t>(begin) * static_cast<size_t>(c));
    if (augment.flip)
      reverse_row(row, to + int64_t{begin} * c, end - begin, c);
    else
      std::memcpy(to + int64_t{begin} * c, row, static_cast<size_t>(end - begin) * static_cast<size_t>(c));
    std::memset(to + int64_t{end} * c, fill, static_cast<size_t>(w - end) * static_cast<size_t>(c));
  }
  erase(augment, sample, to - row_bytes * static_cast<size_t>(h), fill);
}

void erase(const CheapAugment& augment, const Shape& sample, uint8_t* pixels, uint8_t fill) {
  for (int y = augment.y0; y < augment.y1; ++y)
    std::memset(pixels + (int64_t{y} * sample.w + augment.x0) * sample.c, fill,
                static_cast<size_t>(augment.x1 - augment.x0) * static_cast<size_t>(sample.c));
}

}  // namespace convoy
