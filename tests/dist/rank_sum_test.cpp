#include "dist/rank_sum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace convoy {
namespace {

template <class T>
std::vector<std::byte*> pointers(std::vector<std::vector<T>>& copies) {
  std::vector<std::byte*> result;
  for (std::vector<T>& it : copies) result.push_back(reinterpret_cast<std::byte*>(it.data()));
  return result;
}

TEST(RankSum, AddsInTheOrderOfTheSources) {
  std::vector<std::vector<float>> copies = {{1e8F}, {-1e8F}, {1.0F}, {0}};
  const std::vector<std::byte*> all = pointers(copies);
  const std::vector<std::byte*> forward = {all[0], all[1], all[2]}, other = {all[0], all[2], all[1]}, to = {all[3]};
  sum_over_ranks(Dtype::kF32, forward, to, 1);
  EXPECT_EQ(copies[3][0], 1.0F);
  sum_over_ranks(Dtype::kF32, other, to, 1);
  EXPECT_EQ(copies[3][0], 0.0F);
}

TEST(RankSum, Bf16IsRoundedOnce) {
  const auto of = [](float value) { return f32_to_bf16(value); };
  std::vector<std::vector<uint16_t>> copies = {{of(256)}, {of(1)}, {of(1)}};  // 256 + 1 alone rounds back to 256
  const std::vector<std::byte*> all = pointers(copies);
  sum_over_ranks(Dtype::kBF16, all, all, 1);
  for (const auto& it : copies) EXPECT_EQ(bf16_to_f32(it[0]), 258.0F);
}

TEST(RankSum, I32Wraps) {
  std::vector<std::vector<int32_t>> copies = {{std::numeric_limits<int32_t>::max()}, {1}};
  const std::vector<std::byte*> all = pointers(copies);
  sum_over_ranks(Dtype::kI32, all, all, 1);
  EXPECT_EQ(copies[0][0], std::numeric_limits<int32_t>::min());
}

TEST(RankSum, NaNAndInfinityReachEveryTarget) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<std::vector<float>> copies = {{infinity, 1}, {-infinity, infinity}};
  const std::vector<std::byte*> all = pointers(copies);
  sum_over_ranks(Dtype::kF32, all, all, 2);
  for (const auto& it : copies) {
    EXPECT_TRUE(std::isnan(it[0]));
    EXPECT_EQ(it[1], infinity);
  }
}

TEST(RankSum, WritesNothingBehindTheEnd) {
  std::vector<std::vector<float>> copies = {{1, 2, 3, 7}, {1, 2, 3, 8}};
  const std::vector<std::byte*> all = pointers(copies);
  sum_over_ranks(Dtype::kF32, all, all, 3);
  EXPECT_EQ(copies[0], (std::vector<float>{2, 4, 6, 7}));
  EXPECT_EQ(copies[1], (std::vector<float>{2, 4, 6, 8}));
}

TEST(RankSum, OfADtypeWithoutOneIsABug) {
  std::vector<std::vector<uint8_t>> copies = {{1}, {2}};
  const std::vector<std::byte*> all = pointers(copies);
  EXPECT_THROW(sum_over_ranks(Dtype::kU8, all, all, 1), InternalError);
}

}  // namespace
}  // namespace convoy
