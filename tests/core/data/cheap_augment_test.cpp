#include "core/data/cheap_augment.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/base/rng.h"

namespace convoy {
namespace {

constexpr uint64_t kKey = 0x1234567890;

std::vector<uint8_t> ramp(const Shape& s) {
  std::vector<uint8_t> pixels(static_cast<size_t>(s.elements()));
  for (size_t k = 0; k < pixels.size(); ++k) pixels[k] = static_cast<uint8_t>(k * 7 + k / 256 + 1);
  return pixels;
}

// What the header says, pixel by pixel.
std::vector<uint8_t> by_definition(const CheapAugment& a, const Shape& s, const std::vector<uint8_t>& from,
                                   uint8_t fill) {
  std::vector<uint8_t> to;
  for (int y = 0; y < s.h; ++y)
    for (int x = 0; x < s.w; ++x) {
      const int u = x + a.dx, v = y + a.dy;
      const bool erased = x >= a.x0 && x < a.x1 && y >= a.y0 && y < a.y1;
      const bool blank = erased || u < 0 || u >= s.w || v < 0 || v >= s.h;
      const int column = a.flip ? s.w - 1 - u : u;
      for (int c = 0; c < s.c; ++c) to.push_back(blank ? fill : from.data()[(v * s.w + column) * s.c + c]);
    }
  return to;
}

TEST(CheapAugment, EveryPixelIsWhatTheHeaderSays) {
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{1, 5, 9, 3}, Shape{1, 28, 28, 1}, Shape{1, 32, 32, 3},
                         Shape{1, 4, 3, 2}, Shape{1, 2, 150, 3}}) {
    const std::vector<uint8_t> from = ramp(s);
    for (const bool flip : {false, true})
      for (const int dx : {-200, -9, -4, -1, 0, 1, 3, 200})
        for (const int dy : {-40, -2, 0, 1, 40})
          for (const bool erase : {false, true}) {
            CheapAugment a{.flip = flip, .dx = dx, .dy = dy};
            if (erase) a.x0 = s.w / 3, a.y0 = s.h / 4, a.x1 = s.w, a.y1 = (s.h + 1) / 2;
            std::vector<uint8_t> to(from.size() + 1, 0xAB);
            apply(a, s, from.data(), to.data(), 77);
            EXPECT_EQ(to.back(), 0xAB) << "behind the end";
            to.pop_back();
            EXPECT_EQ(to, by_definition(a, s, from, 77)) << to_string(s) << " " << flip << " " << dx << " " << dy;
          }
  }
}

TEST(CheapAugment, NothingIsDrawnWhereNothingIsOn) {
  EXPECT_FALSE(CheapAugmentOptions{}.any());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(draw_cheap({}, {1, 32, 32, 3}, kKey, 1, i), CheapAugment{});
}

TEST(CheapAugment, OneKindDoesNotChangeTheDrawsOfAnother) {
  const Shape s{1, 32, 32, 3};
  for (int i = 0; i < 200; ++i) {
    const CheapAugment all = draw_cheap({.flip = 0.5, .pad_crop = 4, .cutout = 8}, s, kKey, 3, i);
    EXPECT_EQ(draw_cheap({.flip = 0.5}, s, kKey, 3, i).flip, all.flip);
    const CheapAugment shift = draw_cheap({.pad_crop = 4, .erase = 1}, s, kKey, 3, i);
    EXPECT_EQ(shift.dx, all.dx);
    EXPECT_EQ(shift.dy, all.dy);
    EXPECT_EQ(draw_cheap({.cutout = 8}, s, kKey, 3, i).x0, all.x0);
  }
}

TEST(CheapAugment, DrawsDependOnKeyEpochAndSample) {
  const CheapAugmentOptions options{.flip = 0.5, .pad_crop = 100, .cutout = 8};
  const Shape s{1, 224, 224, 3};
  const CheapAugment first = draw_cheap(options, s, kKey, 0, 0);
  EXPECT_EQ(draw_cheap(options, s, kKey, 0, 0), first);
  EXPECT_NE(draw_cheap(options, s, kKey + 1, 0, 0), first);
  EXPECT_NE(draw_cheap(options, s, kKey, 1, 0), first);
  EXPECT_NE(draw_cheap(options, s, kKey, 0, 1), first);
  EXPECT_NE(draw_cheap(options, s, kKey, 0, int64_t{1} << 32), first);
}

TEST(CheapAugment, FlipsAndShiftsAreUniform) {
  constexpr int kDraws = 90000;
  int flips = 0;
  std::map<int, int> dx, dy;
  for (int i = 0; i < kDraws; ++i) {
    const CheapAugment a = draw_cheap({.flip = 0.25, .pad_crop = 4}, {1, 32, 32, 3}, kKey, 0, i);
    flips += a.flip ? 1 : 0;
    ++dx[a.dx];
    ++dy[a.dy];
  }
  EXPECT_NEAR(flips, kDraws * 0.25, 5 * 130);  // five standard deviations
  for (const auto& counts : {dx, dy}) {
    ASSERT_EQ(counts.size(), 9u);
    EXPECT_EQ(counts.begin()->first, -4);
    for (const auto& [shift, count] : counts) EXPECT_NEAR(count, kDraws / 9.0, 5 * 94) << shift;
  }
}

TEST(CheapAugment, ProbabilitiesOfZeroAndOneAreNeverAndAlways) {
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(draw_cheap({.flip = 1}, {1, 8, 8, 1}, kKey, 0, i).flip);
}

TEST(CheapAugment, CutoutIsASquareAroundAnyPixel) {
  const Shape s{1, 32, 20, 3};
  int whole = 0;
  for (int i = 0; i < 5000; ++i) {
    const CheapAugment a = draw_cheap({.cutout = 8}, s, kKey, 0, i);
    ASSERT_TRUE(0 <= a.x0 && a.x0 < a.x1 && a.x1 <= s.w && a.x1 - a.x0 <= 8);
    ASSERT_TRUE(0 <= a.y0 && a.y0 < a.y1 && a.y1 <= s.h && a.y1 - a.y0 <= 8);
    whole += (a.x1 - a.x0 == 8 && a.y1 - a.y0 == 8) ? 1 : 0;
  }
  EXPECT_NEAR(whole, 5000 * (13.0 / 20) * (25.0 / 32), 5 * 36);
}

TEST(CheapAugment, ErasingKeepsToAreaAndRatio) {
  const Shape s{1, 100, 80, 3};
  const CheapAugmentOptions options{.erase = 0.5};
  int erased = 0;
  double area = 0;
  for (int i = 0; i < 10000; ++i) {
    const CheapAugment a = draw_cheap(options, s, kKey, 0, i);
    if (a.x1 == a.x0) continue;
    ++erased;
    const double h = a.y1 - a.y0, w = a.x1 - a.x0;
    area += h * w / 8000;
    ASSERT_TRUE(a.x0 >= 0 && a.y0 >= 0 && a.x1 <= s.w && a.y1 <= s.h && h < s.h && w < s.w);
    EXPECT_NEAR(h * w / 8000, 0.175, 0.155 + 0.02);
    EXPECT_TRUE((h + 1) / (w - 1) > 0.3 && (h - 1) / (w + 1) < 3.3) << h << "x" << w;
  }
  EXPECT_NEAR(erased, 5000, 5 * 50);
  EXPECT_NEAR(area / erased, 0.175, 0.01);
}

TEST(CheapAugment, ErasingGivesUpOnImagesOfOnePixel) {
  for (int i = 0; i < 100; ++i) {
    const CheapAugment a =
        draw_cheap({.erase = 1, .erase_scale_min = 0.9, .erase_scale_max = 1}, {1, 1, 1, 1}, kKey, 0, i);
    EXPECT_EQ(a, CheapAugment{});
  }
}

}  // namespace
}  // namespace convoy
