#include "core/data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

std::vector<int64_t> order(int64_t size, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < size; ++i) ids.push_back(permuted(i, size, seed, epoch));
  return ids;
}

TEST(Permuted, IsAPermutationForEverySize) {
  for (int64_t size = 1; size <= 300; ++size) {
    std::vector<int64_t> ids = order(size, 1, 2);
    std::sort(ids.begin(), ids.end());
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(ids[static_cast<size_t>(i)], i) << size;
  }
}

TEST(Permuted, SeedAndEpochChangeIt) {
  EXPECT_EQ(order(100, 1, 0), order(100, 1, 0));
  EXPECT_NE(order(100, 1, 0), order(100, 2, 0));
  EXPECT_NE(order(100, 1, 0), order(100, 1, 1));
}

// Of 60000 samples, position and number must not be correlated, neighbours must not stay together, and where a fixed
// position points to must be uniform over epochs (chi-squared with 9 degrees of freedom: 27.9 is the 0.1% quantile).
TEST(Permuted, LooksRandom) {
  constexpr int64_t kSize = 60000;
  const std::vector<int64_t> ids = order(kSize, 3, 0);
  const double mean = (kSize - 1) / 2.0, variance = (double{kSize} * kSize - 1) / 12;
  double with_position = 0, with_next = 0;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    with_position += (static_cast<double>(ids[i]) - mean) * (static_cast<double>(i) - mean);
    with_next += (static_cast<double>(ids[i]) - mean) * (static_cast<double>(ids[i + 1]) - mean);
  }
  const double five_sigma = 5 / std::sqrt(double{kSize});
  EXPECT_LT(std::abs(with_position / variance / kSize), five_sigma);
  EXPECT_LT(std::abs(with_next / variance / kSize), five_sigma);

  std::vector<int> counts(10);
  for (int64_t epoch = 0; epoch < 5000; ++epoch) ++counts[static_cast<size_t>(permuted(17, 1000, 3, epoch) / 100)];
  double chi = 0;
  for (const int count : counts) chi += (count - 500.0) * (count - 500.0) / 500;
  EXPECT_LT(chi, 27.9);
}

TEST(Permuted, LargeSetsNeedNoMemory) {
  constexpr int64_t kSize = int64_t{1} << 40;
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 100; ++i) {
    const int64_t id = permuted(kSize - 1 - i, kSize, 0, 0);
    EXPECT_TRUE(id >= 0 && id < kSize);
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(Share, CoversInOrderAndDiffersByOne) {
  for (int64_t items = 0; items <= 20; ++items)
    for (int world = 1; world <= 7; ++world) {
      int64_t next = 0;
      for (int rank = 0; rank < world; ++rank) {
        const Share share = share_of(items, rank, world);
        EXPECT_EQ(share.first, next);
        EXPECT_TRUE(share.count == items / world || share.count == items / world + 1);
        next += share.count;
      }
      EXPECT_EQ(next, items);
    }
  EXPECT_EQ(share_of(7, 0, 3), (Share{0, 3}));
  EXPECT_EQ(share_of(7, 2, 3), (Share{5, 2}));
}

TEST(Sampler, MicroBatchesCutTheEpochOrder) {
  const Sampler sampler({.size = 103, .global_batch = 24, .micro_batch = 8, .seed = 5});
  EXPECT_EQ(sampler.steps_per_epoch(), 4);
  EXPECT_EQ(sampler.micro_batches_per_step(), 3);
  std::vector<int64_t> ids;
  for (int64_t step = 0; step < 4; ++step)
    for (int64_t m = 0; m < sampler.micro_batches(step); ++m) {
      const MicroBatch batch = sampler.micro_batch(2, step, m);
      EXPECT_EQ(batch.first_row, m * 8);
      ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
    }
  std::vector<int64_t> expected = order(103, 5, 2);
  expected.resize(96);
  EXPECT_EQ(ids, expected);
}

TEST(Sampler, PaddingKeepsEverySampleOnce) {
  const Sampler sampler(
      {.size = 29, .global_batch = 24, .micro_batch = 8, .shuffle = false, .last = Sampler::Last::kPad});
  EXPECT_EQ(sampler.steps_per_epoch(), 2);
  EXPECT_EQ(sampler.valid_rows(0), 24);
  EXPECT_EQ(sampler.valid_rows(1), 5);
  EXPECT_EQ(sampler.micro_batches(1), 1);
  EXPECT_EQ(sampler.micro_batch(0, 1, 0).ids, (std::vector<int64_t>{24, 25, 26, 27, 28}));
}

TEST(Sampler, EvaluationCountsEachImageOnceForAnyWorld) {
  for (const int64_t size : {1, 8, 9973, 10000})
    for (int world = 1; world <= 5; ++world) {
      const Sampler sampler = Sampler::for_evaluation(size, 32);
      ASSERT_EQ(sampler.steps_per_epoch(), 1);
      std::vector<int> seen(static_cast<size_t>(size));
      for (int rank = 0; rank < world; ++rank) {
        const Share share = share_of(sampler.micro_batches(0), rank, world);
        for (int64_t m = share.first; m < share.first + share.count; ++m)
          for (const int64_t id : sampler.micro_batch(0, 0, m).ids) ++seen[static_cast<size_t>(id)];
      }
      EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), size);
    }
}

TEST(Sampler, ADataSetSmallerThanABatchIsAConfigurationError) {
  expect_error(ExitCode::kConfig, {"96", "found 95"},
               [] { Sampler({.size = 95, .global_batch = 96, .micro_batch = 8}); });
}

}  // namespace
}  // namespace convoy
