#include "core/image/crop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/image/resize.h"
#include "tests/core/image/images.h"

namespace convoy {
namespace {

constexpr uint64_t kKey = 0xfeed;

TEST(RandomResizedCrop, KeepsToAreaAndRatioInsideTheImage) {
  double area = 0, log_ratio = 0, x = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const Rect crop = random_resized_crop({500, 400}, {}, kKey, 0, i);
    ASSERT_TRUE(crop.x >= 0 && crop.y >= 0 && crop.width >= 1 && crop.height >= 1);
    ASSERT_TRUE(crop.x + crop.width <= 500 && crop.y + crop.height <= 400);
    const double part = crop.width * crop.height / 200000.0, ratio = static_cast<double>(crop.width) / crop.height;
    ASSERT_TRUE(part > 0.079 && part <= 1) << part;
    ASSERT_TRUE(ratio > 0.74 && ratio < 1.35) << ratio;
    area += part / kDraws;
    log_ratio += std::log(ratio) / kDraws;
    if (crop.width < 500) x += static_cast<double>(crop.x) / (500 - crop.width) / kDraws;
  }
  // The means of 200000 draws by torchvision's algorithm in numpy; five standard deviations.  Large areas fail the more
  // often the less their ratio suits.
  EXPECT_NEAR(area, 0.4535, 5 * 0.0016);
  EXPECT_NEAR(log_ratio, 0.0282, 5 * 0.0012);
  EXPECT_NEAR(x, 0.5, 0.01);
}

TEST(RandomResizedCrop, FallsBackToTheLargestCentralPart) {
  // No part of 80% has a ratio of 3/4 to 4/3.
  const RandomCropOptions large = {.scale_min = 0.8, .scale_max = 1};
  EXPECT_EQ(random_resized_crop({1000, 100}, large, kKey, 0, 0), (Rect{433, 0, 133, 100}));
  EXPECT_EQ(random_resized_crop({100, 1000}, large, kKey, 0, 0), (Rect{0, 433, 100, 133}));
  // Ratios that suit, areas that do not: everything.
  const RandomCropOptions larger = {.scale_min = 2, .scale_max = 2};
  EXPECT_EQ(random_resized_crop({90, 100}, larger, kKey, 0, 0), (Rect{0, 0, 90, 100}));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random_resized_crop({1, 1}, {}, kKey, 0, i), (Rect{0, 0, 1, 1}));
}

TEST(RandomResizedCrop, IsAFunctionOfKeyEpochAndSample) {
  const auto crop = [](uint64_t key, int64_t epoch, int64_t sample) {
    return random_resized_crop({5000, 4000}, {}, key, epoch, sample);
  };
  EXPECT_EQ(crop(1, 2, 3), crop(1, 2, 3));
  EXPECT_FALSE(crop(1, 2, 3) == crop(2, 2, 3));
  EXPECT_FALSE(crop(1, 2, 3) == crop(1, 3, 3));
  EXPECT_FALSE(crop(1, 2, 3) == crop(1, 2, 4));
}

void expect_box(const Box& box, double left, double top, double right, double bottom) {
  EXPECT_DOUBLE_EQ(box.left, left);
  EXPECT_DOUBLE_EQ(box.top, top);
  EXPECT_DOUBLE_EQ(box.right, right);
  EXPECT_DOUBLE_EQ(box.bottom, bottom);
}

TEST(CentreCrop, IsWhatResizeAndCropLeave) {
  expect_box(centre_crop({500, 375}, 256, {224, 224}), 58.0 * 500 / 341, 16.0 * 375 / 256, 282.0 * 500 / 341,
             240.0 * 375 / 256);
  expect_box(centre_crop({224, 224}, 224, {224, 224}), 0, 0, 224, 224);
  expect_box(centre_crop({1, 1}, 256, {224, 224}), 0.0625, 0.0625, 0.9375, 0.9375);
  expect_box(centre_crop({3, 900}, 3, {3, 3}), 0, 448, 3, 451);  // 448.5 is rounded to even
}

TEST(CentreCrop, OneStepGivesThePixelsOfTwo) {
  for (const ImageSize size : {ImageSize{500, 375}, {375, 500}, {640, 427}, {100, 90}}) {
    const Image from = noise_image(size.width, size.height, 3);
    const int shorter = std::min(size.width, size.height);
    Resizer resizer;
    Image once, whole;
    resizer.resize(from, centre_crop(size, 128, {112, 96}), {112, 96}, once);
    const ImageSize resized = {128 * size.width / shorter, 128 * size.height / shorter};
    resizer.resize(from, {0, 0, 1.0 * size.width, 1.0 * size.height}, resized, whole);
    const int left = static_cast<int>(std::nearbyint((resized.width - 112) / 2.0));
    const int top = static_cast<int>(std::nearbyint((resized.height - 96) / 2.0));
    int worst = 0;
    for (int y = 0; y < 96; ++y)
      for (int k = 0; k < 3 * 112; ++k)
        worst = std::max(worst, std::abs(once.row(y)[k] - whole.row(y + top)[3 * left + k]));
    EXPECT_LE(worst, 2) << size.width << "x" << size.height;  // the box is rounded to float
  }
}

}  // namespace
}  // namespace convoy
