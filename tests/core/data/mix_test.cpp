#include "core/data/mix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace convoy {
namespace {

// ---- Draws

// Of Beta(alpha, alpha): mean, variance and fourth central moment, within five standard errors.
TEST(DrawBeta, HasTheMomentsOfItsDistribution) {
  constexpr int kDraws = 100'000;
  for (const double alpha : {0.01, 0.1, 0.4, 1.0, 2.5, 20.0}) {
    SampleRandom random(7, 0, 3, RandomStream::kMix);
    double first = 0, second = 0, fourth = 0, eighth = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double share = draw_beta(alpha, random), x = share - 0.5;
      ASSERT_TRUE(share >= 0 && share <= 1) << share;
      first += x / kDraws;
      second += x * x / kDraws;
      fourth += x * x * x * x / kDraws;
      eighth += std::pow(x, 8) / kDraws;
    }
    const double variance = 1 / (4 * (2 * alpha + 1)), of_fourth = variance * variance * (3 - 6 / (2 * alpha + 3));
    SCOPED_TRACE(alpha);
    EXPECT_NEAR(first, 0, 5 * std::sqrt(variance / kDraws));
    EXPECT_NEAR(second, variance, 5 * std::sqrt((of_fourth - variance * variance) / kDraws));
    EXPECT_NEAR(fourth, of_fourth, 5 * std::sqrt((eighth - fourth * fourth) / kDraws));
  }
}

TEST(DrawBeta, WithAlphaOneIsUniform) {
  constexpr int kDraws = 100'000;
  SampleRandom random(8, 0, 0, RandomStream::kMix);
  std::vector<int> tenths(10);
  for (int i = 0; i < kDraws; ++i) ++tenths[std::min(static_cast<size_t>(draw_beta(1, random) * 10), size_t{9})];
  for (const int count : tenths) EXPECT_NEAR(count, kDraws * 0.1, 5 * std::sqrt(kDraws * 0.09));
}

constexpr Shape kSample{1, 12, 20, 3};

TEST(DrawMix, KindsComeAsOftenAsAsked) {
  const MixOptions options{.mixup_alpha = 0.4, .cutmix_alpha = 1, .probability = 0.8, .cutmix_share = 0.25};
  constexpr int kDraws = 20'000;
  int mixed = 0, cut = 0;
  for (int id = 0; id < kDraws; ++id) {
    const RowMix mix = draw_mix(options, kSample, 1, id);
    mixed += mix.weight < RowMix::kWhole ? 1 : 0;
    cut += mix.x0 < mix.x1 ? 1 : 0;
    EXPECT_TRUE(mix.weight == RowMix::kWhole || mix.x0 == mix.x1);
  }
  // A share may come out so near to 1 that nothing is left to mix.
  EXPECT_NEAR(mixed, kDraws * 0.8 * 0.75 * 0.95, kDraws * 0.05);
  EXPECT_NEAR(cut, kDraws * 0.8 * 0.25 * 0.9, kDraws * 0.03);
}

TEST(DrawMix, OneKindAlone) {
  for (int id = 0; id < 2'000; ++id) {
    EXPECT_EQ(draw_mix({.mixup_alpha = 1}, kSample, 0, id).x1, 0);
    EXPECT_EQ(draw_mix({.cutmix_alpha = 1}, kSample, 0, id).weight, RowMix::kWhole);
  }
}

TEST(DrawMix, RectanglesLieInsideAndHaveTheAreaOfTheirShare) {
  const Shape large{1, 1000, 1500, 1};
  double area = 0;
  constexpr int kDraws = 20'000;
  for (int id = 0; id < kDraws; ++id) {
    const RowMix mix = draw_mix({.cutmix_alpha = 1}, large, 0, id);
    ASSERT_TRUE(0 <= mix.x0 && mix.x0 <= mix.x1 && mix.x1 <= large.w) << id;
    ASSERT_TRUE(0 <= mix.y0 && mix.y0 <= mix.y1 && mix.y1 <= large.h) << id;
    area += (1 - own_share(mix, large)) / kDraws;
  }
  // The share is uniform, a side is s = sqrt(1 - share) of the image's, and s (1 - s / 4) of it lies inside on average.
  // E[s²] = 1/2, E[s³] = 2/5, E[s⁴] = 1/3.
  EXPECT_NEAR(area, 1 / 2.0 - 2 / 5.0 / 2 + 1 / 3.0 / 16, 0.01);
}

TEST(DrawMix, DependsOnSeedEpochAndSample) {
  const MixOptions options{.mixup_alpha = 1, .seed = 5};
  MixOptions other = options;
  other.seed = 6;
  EXPECT_EQ(draw_mix(options, kSample, 3, 17), draw_mix(options, kSample, 3, 17));
  EXPECT_NE(draw_mix(options, kSample, 3, 17), draw_mix(options, kSample, 3, 18));
  EXPECT_NE(draw_mix(options, kSample, 3, 17), draw_mix(options, kSample, 4, 17));
  EXPECT_NE(draw_mix(options, kSample, 3, 17), draw_mix(other, kSample, 3, 17));
}

TEST(DrawPartnerDistance, AllDistancesOccur) {
  std::vector<int> counts(5);
  for (int64_t epoch = 0; epoch < 200; ++epoch) {
    ++counts.at(static_cast<size_t>(draw_partner_distance({}, epoch, std::vector<int64_t>{9, 2, 3, 4, 5})));
  }
  EXPECT_EQ(counts[0], 0);
  for (size_t distance = 1; distance < 5; ++distance) EXPECT_GT(counts[distance], 25);
}

// ---- Targets

TEST(Mixed, TheLargerShareComesFirst) {
  EXPECT_EQ(mixed(Target::of(3), Target::of(8), 0.75), (Target{3, 8, 0.75F}));
  EXPECT_EQ(mixed(Target::of(3), Target::of(8), 0.25), (Target{8, 3, 0.75F}));
  EXPECT_EQ(mixed(Target::of(3), Target::of(8), 0.5), (Target{3, 8, 0.5F}));
  EXPECT_EQ(mixed(Target::of(3), Target::of(8), 1), Target::of(3));
  EXPECT_EQ(mixed(Target::of(3), Target::of(8), 0), Target::of(8));
}

TEST(OwnShare, IsThatOfThePixels) {
  EXPECT_EQ(own_share({}, kSample), 1);
  EXPECT_EQ(own_share({.weight = 64}, kSample), 0.25);
  EXPECT_EQ(own_share({.x0 = 5, .y0 = 6, .x1 = 20, .y1 = 12}, kSample), 1 - 15.0 * 6 / (20 * 12));
}

// ---- Pixels

struct Rows {
  std::vector<int64_t> ids;
  std::vector<uint8_t> pixels;
  std::vector<Target> targets;
};

Rows make_rows(int count, const Shape& sample) {
  Rows rows{std::vector<int64_t>(static_cast<size_t>(count)),
            std::vector<uint8_t>(static_cast<size_t>(count * sample.elements())),
            {}};
  std::iota(rows.ids.begin(), rows.ids.end(), 40);
  for (size_t i = 0; i < rows.pixels.size(); ++i) rows.pixels[i] = static_cast<uint8_t>(i * 31 + i * i / 97);
  for (int row = 0; row < count; ++row) rows.targets.push_back(Target::of(row % 4));
  return rows;
}

// What the header says, row by row and pixel by pixel, from rows that stay as they are.
Rows by_definition(const MixOptions& options, const Shape& sample, int64_t epoch, const Rows& from) {
  Rows to = from;
  const size_t count = from.ids.size(), bytes = static_cast<size_t>(sample.elements());
  const auto distance = static_cast<size_t>(draw_partner_distance(options, epoch, from.ids));
  for (size_t row = 0; row < count; ++row) {
    const size_t partner = (row + distance) % count;
    const RowMix mix = draw_mix(options, sample, epoch, from.ids[row]);
    for (size_t i = 0; i < bytes; ++i) {
      const auto x = static_cast<int>(i) / sample.c % sample.w, y = static_cast<int>(i) / sample.c / sample.w;
      const bool inside = x >= mix.x0 && x < mix.x1 && y >= mix.y0 && y < mix.y1;
      const double own = from.pixels[row * bytes + i], other = from.pixels[partner * bytes + i];
      const double sum = (mix.weight * own + (RowMix::kWhole - mix.weight) * other) / RowMix::kWhole;
      to.pixels[row * bytes + i] = static_cast<uint8_t>(inside ? other : std::floor(sum + 0.5));
    }
    to.targets[row] = mixed(from.targets[row], from.targets[partner], own_share(mix, sample));
  }
  return to;
}

TEST(MixRows, InPlaceIsAsFromACopy) {
  const MixOptions options{.mixup_alpha = 1, .cutmix_alpha = 1, .probability = 0.9};
  for (const Shape& sample : {Shape{1, 1, 1, 1}, Shape{1, 9, 7, 3}, Shape{1, 32, 32, 3}}) {
    for (int count = 2; count <= 13; ++count) {
      for (int64_t epoch = 0; epoch < 8; ++epoch) {
        const Rows from = make_rows(count, sample), wanted = by_definition(options, sample, epoch, from);
        Rows found = from;
        std::vector<uint8_t> scratch(static_cast<size_t>(sample.elements()));
        mix_rows(options, sample, epoch, found.ids, found.pixels.data(), found.targets.data(), scratch.data());
        ASSERT_EQ(found.pixels, wanted.pixels) << count << " rows, epoch " << epoch;
        ASSERT_EQ(found.targets, wanted.targets) << count << " rows, epoch " << epoch;
      }
    }
  }
}

TEST(MixRows, ARowByItselfStays) {
  const MixOptions options{.mixup_alpha = 1};
  const Rows from = make_rows(1, kSample);
  Rows found = from;
  mix_rows(options, kSample, 0, found.ids, found.pixels.data(), found.targets.data(), nullptr);
  mix_rows(options, kSample, 0, {}, nullptr, nullptr, nullptr);
  EXPECT_EQ(found.pixels, from.pixels);
  EXPECT_EQ(found.targets, from.targets);
}

}  // namespace
}  // namespace convoy
