#include "core/image/color.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/base/simd.h"
#include "core/image/pixels.h"

namespace convoy {
namespace {

// Pillow's Image.blend(): floats, cut to 0 .. 255, then truncated.
CONVOY_INLINE inline uint8_t blend(int degenerate, int value, float factor) {
  const float mixed = static_cast<float>(degenerate) + factor * static_cast<float>(value - degenerate);
  return static_cast<uint8_t>(std::min(std::max(mixed, 0.0F), 255.0F));
}

// Inside simd(), what a loop reads is first copied to variables of its own: a store of a byte might change what was
// captured, as far as the compiler knows, and nothing would be vectorised.
template <class Change>
void change_bytes(const ImageView& image, Change change) {
  simd([=]() CONVOY_INLINE {
    const Change own = change;
    uint8_t* const pixels = image.pixels;
    const auto bytes = static_cast<int64_t>(image.bytes());
    for (int64_t k = 0; k < bytes; ++k) pixels[k] = own(pixels[k]);
  });
}

void blend_with(const ImageView& image, int degenerate, float factor) {
  change_bytes(image, [=](uint8_t value) CONVOY_INLINE { return blend(degenerate, value, factor); });
}

int64_t sum_of_luma(const ImageView& image) {
  const uint8_t* const pixels = image.pixels;
  const int64_t area = image.area();
  int64_t sum = 0;
  const bool grey = image.channels == 1;
  simd([=, &sum]() CONVOY_INLINE {
    int64_t total = 0;
    if (grey)
      for (int64_t k = 0; k < area; ++k) total += pixels[k];
    else
      for (int64_t k = 0; k < area; ++k) total += luma(pixels + 3 * k);
    sum = total;
  });
  return sum;
}

using Histogram = std::array<int64_t, 256>;
using Table = std::array<uint8_t, 256>;

Histogram histogram(const ImageView& image, int channel) {
  Histogram counts{};
  const int64_t area = image.area();
  for (int64_t k = 0; k < area; ++k) ++counts[image.pixels[k * image.channels + channel]];
  return counts;
}

void look_up(const ImageView& image, int channel, const Table& table) {
  const int64_t area = image.area();
  for (int64_t k = 0; k < area; ++k) {
    uint8_t& value = image.pixels[k * image.channels + channel];
    value = table[value];
  }
}

// table(histogram, table) says whether the channel changes.
template <class MakeTable>
void map_channels(const ImageView& image, MakeTable make_table) {
  for (int c = 0; c < image.channels; ++c) {
    Table table;
    if (make_table(histogram(image, c), table)) look_up(image, c, table);
  }
}

bool stretching(const Histogram& counts, Table& table) {
  const auto used = [](int64_t count) { return count != 0; };
  const auto low = std::find_if(counts.begin(), counts.end(), used) - counts.begin();
  const auto high = counts.rend() - std::find_if(counts.rbegin(), counts.rend(), used) - 1;
  if (high <= low) return false;
  const double scale = 255.0 / static_cast<double>(high - low), offset = -static_cast<double>(low) * scale;
  for (size_t v = 0; v < table.size(); ++v)
    table[v] = static_cast<uint8_t>(std::clamp(static_cast<int>(static_cast<double>(v) * scale + offset), 0, 255));
  return true;
}

bool equalizing(const Histogram& counts, Table& table) {
  int64_t all = 0, last = 0;
  for (const int64_t count : counts) {
    all += count;
    if (count != 0) last = count;
  }
  const int64_t step = (all - last) / 255;
  if (step == 0) return false;
  int64_t n = step / 2;
  for (size_t v = 0; v < table.size(); ++v) {
    table[v] = static_cast<uint8_t>(std::min<int64_t>(n / step, 255));
    n += counts[v];
  }
  return true;
}

// Pillow's SMOOTH: the middle weighs 5, its neighbours 1 each.  The order of the float sums is Pillow's.
CONVOY_INLINE inline float smooth_row(const uint8_t* row, int64_t k, int channels, float middle) {
  constexpr float kOther = 1.0F / 13.0F;
  return static_cast<float>(row[k - channels]) * kOther + static_cast<float>(row[k]) * middle +
         static_cast<float>(row[k + channels]) * kOther;
}

struct SharpenedRow {
  const uint8_t *above, *here, *below;
  uint8_t* to;
  int64_t bytes;
  int channels;
  float factor;
};

void sharpen(const SharpenedRow& row) {
  simd([=]() CONVOY_INLINE {
    const uint8_t *const above = row.above, *const here = row.here, *const below = row.below;
    uint8_t* const to = row.to;
    const int64_t bytes = row.bytes;
    const int c = row.channels;
    const float factor = row.factor;
    for (int64_t k = c; k < bytes - c; ++k) {
      float sum = 0.5F;
      sum += smooth_row(below, k, c, 1.0F / 13.0F);
      sum += smooth_row(here, k, c, 5.0F / 13.0F);
      sum += smooth_row(above, k, c, 1.0F / 13.0F);
      to[k] = blend(static_cast<int>(sum), here[k], factor);  // sum < 256
    }
  });
}

// Some pixels, one array a channel: what compilers vectorise.
struct Pixels {
  static constexpr int kSize = 64;
  int r[kSize], g[kSize], b[kSize];
};

// condition ? a : b without a branch, which would keep the loop from being vectorised.
CONVOY_INLINE inline int choose(bool condition, int a, int b) {
  const int mask = -static_cast<int>(condition);
  return (a & mask) | (b & ~mask);
}

// To hue, saturation and value as bytes (255 is a full turn), on by `shift`, and back.  From Python's colorsys by way
// of Pillow, whose mixture of float and double is kept.  Nothing here branches.
CONVOY_INLINE inline void turn_hue(int& red, int& green, int& blue, int shift) {
  const int r = red, g = green, b = blue, v = std::max(std::max(r, g), b), range = v - std::min(std::min(r, g), b);
  const auto divisor = static_cast<float>(std::max(range, 1));
  const float rc = static_cast<float>(v - r) / divisor, gc = static_cast<float>(v - g) / divisor,
              bc = static_cast<float>(v - b) / divisor;
  const float from_red = bc - gc;
  const auto from_green = static_cast<float>(2.0 + rc - bc), from_blue = static_cast<float>(4.0 + gc - rc);
  const auto bits = [](float value) CONVOY_INLINE { return std::bit_cast<int>(value); };
  const auto sector =
      std::bit_cast<float>(choose(r == v, bits(from_red), choose(g == v, bits(from_green), bits(from_blue))));
  const double turns = sector / 6.0 + 1.0;  // 5/6 .. 2, of which the whole turns are dropped
  const auto turn = static_cast<float>(turns - static_cast<double>(static_cast<int>(turns)));
  const int hue = (static_cast<int>(turn * 255.0) + shift) & 0xff;
  const float part = static_cast<float>(range) / static_cast<float>(std::max(v, 1));
  const auto saturation = static_cast<float>(static_cast<int>(part * 255.0) / 255.0);

  const double sixths = hue * 6.0 / 255.0;
  const int whole = static_cast<int>(sixths);  // 0 .. 6, of which 6 is 0
  const auto rest = static_cast<float>(sixths - static_cast<float>(whole));
  const auto value = static_cast<float>(v);
  const int p = static_cast<int>(value * (1.0 - saturation) + 0.5);
  const int q = static_cast<int>(value * (1.0 - saturation * rest) + 0.5);
  const int t = static_cast<int>(value * (1.0 - saturation * (1.0 - rest)) + 0.5);
  const auto is = [=](int a, int b) CONVOY_INLINE { return (whole == a) | (whole == b); };
  red = choose(is(2, 3), p, choose(whole == 1, q, choose(whole == 4, t, v)));
  green = choose(is(4, 5), p, choose(whole == 3, q, choose(is(0, 6), t, v)));
  blue = choose(is(0, 1) | (whole == 6), p, choose(whole == 5, q, choose(whole == 2, t, v)));
}

void turn_hues(Pixels& pixels, int shift) {
  simd([&]() CONVOY_INLINE {
    const int own_shift = shift;
    for (int k = 0; k < Pixels::kSize; ++k) turn_hue(pixels.r[k], pixels.g[k], pixels.b[k], own_shift);
  });
}

}  // namespace

void adjust_brightness(const ImageView& image, float factor) { blend_with(image, 0, factor); }

void adjust_contrast(const ImageView& image, float factor) {
  const double mean = static_cast<double>(sum_of_luma(image)) / static_cast<double>(image.area());
  blend_with(image, static_cast<int>(mean + 0.5), factor);
}

void adjust_saturation(const ImageView& image, float factor) {
  if (image.channels == 1) return;
  simd([=]() CONVOY_INLINE {
    uint8_t* const pixels = image.pixels;
    const int64_t bytes = 3 * image.area();
    const float own_factor = factor;
    for (int64_t k = 0; k < bytes; k += 3) {
      const int grey = luma(pixels + k);
      for (int c = 0; c < 3; ++c) pixels[k + c] = blend(grey, pixels[k + c], own_factor);
    }
  });
}

void adjust_sharpness(const ImageView& image, float factor) {
  if (image.width < 3 || image.height < 3) return;  // Pillow filters no such image: the degenerate one is itself
  thread_local std::vector<uint8_t> rows;           // the row above and this one, as they were
  const size_t bytes = image.row_bytes();
  rows.resize(2 * bytes);
  uint8_t *above = rows.data(), *here = above + bytes;
  std::memcpy(above, image.row(0), bytes);
  for (int y = 1; y < image.height - 1; ++y) {
    std::memcpy(here, image.row(y), bytes);
    sharpen({above, here, image.row(y + 1), image.row(y), static_cast<int64_t>(bytes), image.channels, factor});
    std::swap(above, here);
  }
}

void adjust_hue(const ImageView& image, double turn) {
  CHECK(turn >= -0.5 && turn <= 0.5, "adjust_hue");
  if (image.channels == 1) return;
  const int shift = static_cast<int>(turn * 255);
  const int64_t area = image.area();
  Pixels pixels = {};
  for (int64_t begin = 0; begin < area; begin += Pixels::kSize) {
    uint8_t* const rgb = image.pixels + 3 * begin;
    const auto n = static_cast<int>(std::min<int64_t>(Pixels::kSize, area - begin));
    for (int k = 0; k < n; ++k) pixels.r[k] = rgb[3 * k], pixels.g[k] = rgb[3 * k + 1], pixels.b[k] = rgb[3 * k + 2];
    turn_hues(pixels, shift);
    for (int k = 0; k < n; ++k) {
      rgb[3 * k] = static_cast<uint8_t>(pixels.r[k]);
      rgb[3 * k + 1] = static_cast<uint8_t>(pixels.g[k]);
      rgb[3 * k + 2] = static_cast<uint8_t>(pixels.b[k]);
    }
  }
}

void posterize(const ImageView& image, int bits) {
  CHECK(bits >= 1 && bits <= 8, "posterize");
  const auto mask = static_cast<uint8_t>(0xff << (8 - bits));
  change_bytes(image, [=](uint8_t value) CONVOY_INLINE { return static_cast<uint8_t>(value & mask); });
}

void solarize(const ImageView& image, float threshold) {
  const int first = static_cast<int>(std::ceil(std::clamp(threshold, 0.0F, 256.0F)));  // that is inverted
  change_bytes(image,
               [=](uint8_t value) CONVOY_INLINE { return static_cast<uint8_t>(value < first ? value : 255 - value); });
}

void invert(const ImageView& image) { solarize(image, 0); }

void autocontrast(const ImageView& image) { map_channels(image, stretching); }

void equalize(const ImageView& image) { map_channels(image, equalizing); }

}  // namespace convoy
