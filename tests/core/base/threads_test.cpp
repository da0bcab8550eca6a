#include "core/base/threads.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace convoy {
namespace {

constexpr int kNoLimit = 1000;

TEST(ProcessorsOfRank, SharedProcessorsAreDivided) {
  EXPECT_EQ(processors_of_rank("11111111", {"11111111", "11111111"}, kNoLimit), 4);
  EXPECT_EQ(processors_of_rank("111", {"111", "111"}, kNoLimit), 1);
}

TEST(ProcessorsOfRank, ProcessorsOfItsOwnAreAllUsed) {
  EXPECT_EQ(processors_of_rank("1111", {"1111", "00001111"}, kNoLimit), 4);
  EXPECT_EQ(processors_of_rank("00001111", {"1111", "00001111"}, kNoLimit), 4);
}

TEST(ProcessorsOfRank, NoMoreThanBoundTo) {
  EXPECT_EQ(processors_of_rank("1", {"1", "01111111"}, kNoLimit), 1);
  EXPECT_EQ(processors_of_rank("1111", {"1111"}, kNoLimit), 4);
}

TEST(ProcessorsOfRank, QuotaIsDividedToo) {
  EXPECT_EQ(processors_of_rank("11111111", {"11111111", "11111111"}, 4), 2);
  EXPECT_EQ(processors_of_rank("11111111", {"11111111", "11111111", "11111111"}, 2), 1);
}

TEST(ProcessorMask, HasAProcessorToRunOn) { EXPECT_GE(std::ranges::count(processor_mask(), '1'), 1); }

}  // namespace
}  // namespace convoy
