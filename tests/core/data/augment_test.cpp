#include "core/data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "core/base/rng.h"
#include "core/data/synthetic.h"
#include "tests/core/base/testing.h"
#include "tests/core/image/images.h"

namespace convoy {
namespace {

constexpr Shape kSample = {1, 24, 32, 3};

std::unique_ptr<Dataset> plain(const Shape& sample = kSample) {
  return std::make_unique<SyntheticDataset>(
      SyntheticDataset::Options{.size = 50, .sample = sample, .classes = 7, .seed = 3});
}

AugmentOptions everything() {
  return {.cheap = {.flip = 0.5, .pad_crop = 4, .erase = 0.5},
          .brightness = 0.4,
          .contrast = 0.4,
          .saturation = 0.4,
          .hue = 0.1,
          .rotate = 15,
          .policy = AugmentPolicy::kRandAugment};
}

std::vector<uint8_t> pixels_of(const Dataset& data, int64_t i, int64_t epoch) {
  std::vector<uint8_t> pixels(static_cast<size_t>(data.sample().elements()));
  data.read(i, epoch, pixels.data());
  return pixels;
}

TEST(Augment, NothingIsChangedByDefault) {
  const AugmentedDataset data(plain(), {}, 1);
  for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(pixels_of(data, i, 0), pixels_of(*plain(), i, 0));
}

TEST(Augment, LabelsShapeAndFingerprintAreThoseBelow) {
  const AugmentedDataset data(plain(), everything(), 1);
  EXPECT_EQ(data.size(), 50);
  EXPECT_EQ(data.sample(), kSample);
  EXPECT_EQ(data.classes(), 7);
  EXPECT_EQ(data.fingerprint(), plain()->fingerprint());
  std::vector<uint8_t> pixels(static_cast<size_t>(kSample.elements()));
  EXPECT_EQ(data.read(9, 0, pixels.data()), 2);
}

TEST(Augment, SeedEpochAndSampleDecide) {
  const AugmentedDataset data(plain(), everything(), 1), same(plain(), everything(), 1),
      other(plain(), everything(), 2);
  EXPECT_EQ(pixels_of(data, 3, 5), pixels_of(same, 3, 5));
  EXPECT_NE(pixels_of(data, 3, 5), pixels_of(data, 3, 6));
  EXPECT_NE(pixels_of(data, 3, 5), pixels_of(other, 3, 5));
}

TEST(Augment, AnyNumberOfThreadsInAnyOrderGivesTheSamePixels) {
  constexpr int kReads = 150;
  for (const AugmentPolicy policy : {AugmentPolicy::kRandAugment, AugmentPolicy::kTrivialAugment}) {
    AugmentOptions options = everything();
    options.policy = policy;
    const AugmentedDataset data(plain(), options, 1);
    std::vector<uint64_t> expected;
    for (int k = 0; k < kReads; ++k) expected.push_back(fnv1a(pixels_of(data, k % 50, k / 50)));
    for (int threads = 1; threads <= 8; ++threads) {
      std::vector<uint64_t> found(kReads);
      std::atomic<int> next = kReads;
      std::vector<std::thread> team;
      for (int t = 0; t < threads; ++t)
        team.emplace_back([&] {
          for (int k = --next; k >= 0; k = --next)
            found[static_cast<size_t>(k)] = fnv1a(pixels_of(data, k % 50, k / 50));
        });
      for (std::thread& thread : team) thread.join();
      EXPECT_EQ(found, expected) << threads;
    }
  }
}

TEST(Augment, TheCheapPartIsDrawCheap) {
  const AugmentOptions options = {.cheap = {.flip = 0.5, .pad_crop = 4, .cutout = 6}, .fill = 9};
  const AugmentedDataset data(plain(), options, 8);
  for (int64_t i = 0; i < 50; ++i) {
    const std::vector<uint8_t> from = pixels_of(*plain(), i, 0);
    std::vector<uint8_t> to(from.size());
    const uint64_t key = random_key(RandomUse::kAugment, 8);
    apply(draw_cheap(options.cheap, kSample, key, 4, i), kSample, from.data(), to.data(), 9);
    EXPECT_EQ(pixels_of(data, i, 4), to);
  }
}

// Flip, then colours, then erasing: done by hand, the colours by a dataset that does nothing else.
TEST(Augment, OneKindDoesNotChangeTheDrawsOfAnotherAndErasingIsLast) {
  AugmentOptions options = everything();
  const AugmentedDataset all(plain(), options, 1);
  const uint64_t key = random_key(RandomUse::kAugment, 1);
  AugmentOptions costly = options;
  costly.cheap = {};
  for (int64_t i = 0; i < 50; ++i) {
    CheapAugment cheap = draw_cheap(options.cheap, kSample, key, 2, i), moves = cheap;
    moves.x1 = moves.x0, moves.y1 = moves.y0;
    const std::vector<uint8_t> from = pixels_of(*plain(), i, 0);
    std::vector<uint8_t> to(from.size());
    apply(moves, kSample, from.data(), to.data(), 0);
    apply_costly(costly, {to.data(), kSample.w, kSample.h, kSample.c}, key, 2, i);
    erase(cheap, kSample, to.data(), 0);
    EXPECT_EQ(pixels_of(all, i, 2), to);
  }
}

TEST(Augment, ASecondKindOfJitterLeavesTheFirstAsItWas) {
  // On a grey image saturation and hue do nothing, so switching them on must not move brightness.
  const Shape grey = {1, 8, 8, 1};
  const AugmentedDataset one(plain(grey), {.brightness = 0.5}, 1);
  const AugmentedDataset three(plain(grey), {.brightness = 0.5, .saturation = 0.5, .hue = 0.5}, 1);
  for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(pixels_of(one, i, 0), pixels_of(three, i, 0));
}

TEST(Augment, BrightnessIsUniformBetweenItsBounds) {
  const Shape grey = {1, 1, 1, 1};
  double sum = 0;
  int least = 255, most = 0;
  for (int64_t i = 0; i < 5000; ++i) {
    uint8_t pixel = 100;
    apply_costly({.brightness = 0.5}, {&pixel, 1, 1, 1}, 7, 0, i);
    sum += pixel;
    least = std::min<int>(least, pixel);
    most = std::max<int>(most, pixel);
  }
  EXPECT_EQ(grey.elements(), 1);
  EXPECT_EQ(least, 50);
  EXPECT_EQ(most, 149);
  EXPECT_NEAR(sum / 5000, 99.5, 5 * 29 / 70.0);
}

TEST(Augment, JitterTakesEveryOrder) {
  // Contrast of one pixel is the identity, brightness is not; with saturation and hue their effect depends on the
  // order.  24 orders of four kinds at fixed factors give several results.
  std::set<std::vector<uint8_t>> results;
  for (int64_t i = 0; i < 300; ++i) {
    std::vector<uint8_t> pixels = {200, 40, 90, 10, 250, 130};
    apply_costly({.brightness = 1e-9, .contrast = 0.9, .saturation = 1e-9, .hue = 1e-9}, {pixels.data(), 2, 1, 3}, 7, 0,
                 i);
    results.insert(pixels);
  }
  EXPECT_GT(results.size(), 24u);
}

TEST(Augment, RotationTurnsByAtMostItsAngle) {
  int moved = 0;
  for (int64_t i = 0; i < 200; ++i) {
    Image image = noise_image(9, 9, 1, 1, 255);
    const uint8_t middle = image.row(4)[4];
    apply_costly({.rotate = 30}, view(image), 7, 0, i);
    EXPECT_EQ(image.row(4)[4], middle);
    moved += image.pixels == noise_image(9, 9, 1, 1, 255).pixels ? 0 : 1;
  }
  EXPECT_GT(moved, 100);
}

TEST(Augment, ImagesOfTwoChannelsHaveNoColours) {
  const Shape two = {1, 8, 8, 2};
  expect_error(ExitCode::kConfig, {"1 or 3 channels", "found 2"},
               [&] { AugmentedDataset(plain(two), {.hue = 0.1}, 1); });
  const AugmentedDataset data(plain(two), {.cheap = {.flip = 1}}, 1);  // but sides
  EXPECT_NE(pixels_of(data, 0, 0), pixels_of(*plain(two), 0, 0));
}

class Hints final : public Dataset {
 public:
  explicit Hints(int64_t& last) : last_(last) {}
  int64_t size() const override { return 1; }
  Shape sample() const override { return {1, 1, 1, 1}; }
  int classes() const override { return 1; }
  int read(int64_t, int64_t, uint8_t* pixels) const override { return *pixels = 0; }
  void will_read(int64_t i) const override { last_ = i; }
  std::string fingerprint() const override { return "hints"; }

 private:
  int64_t& last_;
};

TEST(Augment, HintsArePassedOn) {
  int64_t last = -1;
  AugmentedDataset(std::make_unique<Hints>(last), {}, 1).will_read(17);
  EXPECT_EQ(last, 17);
}

}  // namespace
}  // namespace convoy
