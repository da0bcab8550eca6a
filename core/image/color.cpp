#include "core/image/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/base/simd.h"

namespace convoy {
namespace {

// Pillow's Image.blend(): floats, cut to 0 .. 255, then truncated.
CONVOY_INLINE inline uint8_t blend(int degenerate, int value, float factor) {
  const float mixed = static_cast<float>(degenerate) + factor * static_cast<float>(value - degenerate);
  return static_cast<uint8_t>(std::min(std::max(mixed, 0.0F), 255.0F));
}

// ITU-R 601-2 luma, as Pillow's convert("L").
CONVOY_INLINE inline int luma(const uint8_t* rgb) {
  return static_cast<int>((rgb[0] * 19595U + rgb[1] * 38470U + rgb[2] * 7471U + 0x8000U) >> 16);
}

void blend_with(const ImageView& image, int degenerate, float factor) {
  uint8_t* const pixels = image.pixels;
  const auto bytes = static_cast<int64_t>(image.bytes());
  simd([=]() CONVOY_INLINE {
    for (int64_t k = 0; k < bytes; ++k) pixels[k] = blend(degenerate, pixels[k], factor);
  });
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

// Hue is a byte: 255 is a full turn.  From colorsys.py by way of Pillow, whose mixture of float and double matters.
struct Hsv {
  uint8_t hue, saturation, value;
};

Hsv to_hsv(const uint8_t* rgb) {
  const int r = rgb[0], g = rgb[1], b = rgb[2];
  const int most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, static_cast<uint8_t>(most)};
  const auto range = static_cast<float>(most - least);
  const float saturation = range / static_cast<float>(most);
  const float rc = static_cast<float>(most - r) / range, gc = static_cast<float>(most - g) / range,
              bc = static_cast<float>(most - b) / range;
  float hue;
  if (r == most)
    hue = bc - gc;
  else if (g == most)
    hue = static_cast<float>(2.0 + rc - bc);
  else
    hue = static_cast<float>(4.0 + gc - rc);
  const double turns = hue / 6.0 + 1.0;  // 5/6 .. 2
  hue = static_cast<float>(turns >= 1 ? turns - 1 : turns);
  return {static_cast<uint8_t>(hue * 255.0), static_cast<uint8_t>(saturation * 255.0), static_cast<uint8_t>(most)};
}

void to_rgb(Hsv hsv, uint8_t* rgb) {
  const uint8_t v = hsv.value;
  if (hsv.saturation == 0) {
    rgb[0] = rgb[1] = rgb[2] = v;
    return;
  }
  const double sixths = hsv.hue * 6.0 / 255.0;
  const int sector = static_cast<int>(sixths);  // 0 .. 6
  const auto f = static_cast<float>(sixths - static_cast<float>(sector));
  const auto s = static_cast<float>(hsv.saturation / 255.0);
  const auto round = [](double positive) { return static_cast<uint8_t>(positive + 0.5); };
  const uint8_t p = round(v * (1.0 - s)), q = round(v * (1.0 - s * f)), t = round(v * (1.0 - s * (1.0 - f)));
  const uint8_t of_sector[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
  std::memcpy(rgb, of_sector[sector % 6], 3);
}

}  // namespace

void adjust_brightness(const ImageView& image, float factor) { blend_with(image, 0, factor); }

void adjust_contrast(const ImageView& image, float factor) {
  const double mean = static_cast<double>(sum_of_luma(image)) / static_cast<double>(image.area());
  blend_with(image, static_cast<int>(mean + 0.5), factor);
}

void adjust_saturation(const ImageView& image, float factor) {
  if (image.channels == 1) return;
  uint8_t* const pixels = image.pixels;
  const int64_t area = image.area();
  simd([=]() CONVOY_INLINE {
    for (int64_t k = 0; k < area; ++k) {
      uint8_t* rgb = pixels + 3 * k;
      const int grey = luma(rgb);
      for (int c = 0; c < 3; ++c) rgb[c] = blend(grey, rgb[c], factor);
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
    uint8_t* const to = image.row(y);
    const uint8_t* const below = image.row(y + 1);
    const int c = image.channels;
    const int64_t end = static_cast<int64_t>(bytes) - c;
    simd([=]() CONVOY_INLINE {
      for (int64_t k = c; k < end; ++k) {
        float sum = 0.5F;
        sum += smooth_row(below, k, c, 1.0F / 13.0F);
        sum += smooth_row(here, k, c, 5.0F / 13.0F);
        sum += smooth_row(above, k, c, 1.0F / 13.0F);
        to[k] = blend(static_cast<int>(std::min(sum, 255.0F)), here[k], factor);
      }
    });
    std::swap(above, here);
  }
}

void adjust_hue(const ImageView& image, double turn) {
  CHECK(turn >= -0.5 && turn <= 0.5, "adjust_hue");
  if (image.channels == 1) return;
  const int shift = static_cast<int>(turn * 255);
  const int64_t area = image.area();
  for (int64_t k = 0; k < area; ++k) {
    uint8_t* rgb = image.pixels + 3 * k;
    Hsv hsv = to_hsv(rgb);
    hsv.hue = static_cast<uint8_t>(hsv.hue + shift);
    to_rgb(hsv, rgb);
  }
}

void posterize(const ImageView& image, int bits) {
  CHECK(bits >= 1 && bits <= 8, "posterize");
  uint8_t* const pixels = image.pixels;
  const auto bytes = static_cast<int64_t>(image.bytes());
  const auto mask = static_cast<uint8_t>(0xff << (8 - bits));
  simd([=]() CONVOY_INLINE {
    for (int64_t k = 0; k < bytes; ++k) pixels[k] &= mask;
  });
}

void solarize(const ImageView& image, float threshold) {
  uint8_t* const pixels = image.pixels;
  const auto bytes = static_cast<int64_t>(image.bytes());
  const int first = static_cast<int>(std::ceil(std::clamp(threshold, 0.0F, 256.0F)));  // that is inverted
  simd([=]() CONVOY_INLINE {
    for (int64_t k = 0; k < bytes; ++k) pixels[k] = static_cast<uint8_t>(pixels[k] < first ? pixels[k] : ~pixels[k]);
  });
}

void invert(const ImageView& image) { solarize(image, 0); }

void autocontrast(const ImageView& image) { map_channels(image, stretching); }

void equalize(const ImageView& image) { map_channels(image, equalizing); }

}  // namespace convoy
