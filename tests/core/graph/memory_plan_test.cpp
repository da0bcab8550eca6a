#include "core/graph/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace convoy {
namespace {

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// Largest sum of bytes alive at one step, counted step by step.
int64_t counted_peak(const std::vector<Lifetime>& values, int steps) {
  int64_t peak = 0;
  for (int step = 0; step < steps; ++step) {
    int64_t live = 0;
    for (const Lifetime& value : values) {
      if (value.first <= step && step <= value.last) live += (value.bytes + 255) / 256 * 256;
    }
    peak = std::max(peak, live);
  }
  return peak;
}

TEST(MemoryPlan, NothingNeedsNothing) {
  EXPECT_EQ(place({}).arena_bytes, 0);
  const MemoryPlan plan = place({{0, -1, -1}, {0, 0, 5}});
  EXPECT_EQ(plan.arena_bytes, 0);
  EXPECT_EQ(plan.offsets.size(), 2u);
}

TEST(MemoryPlan, ValuesThatFollowEachOtherShareMemory) {
  const MemoryPlan plan = place({{1000, 0, 1}, {1000, 2, 3}, {500, 4, 4}});
  EXPECT_EQ(plan.arena_bytes, 1024);
  EXPECT_EQ(plan.live_peak_bytes, 1024);
  EXPECT_EQ(plan.total_bytes, 1024 + 1024 + 512);
}

TEST(MemoryPlan, LastStepIsIncluded) {
  const MemoryPlan plan = place({{256, 0, 2}, {256, 2, 3}});  // one reads the other in step 2
  EXPECT_EQ(plan.arena_bytes, 512);
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
}

TEST(MemoryPlan, FillsTheLowestGapThatFits) {
  // 0, 1 and 2 are stacked; 1 ends, and 3 takes its place though there is room above.
  const MemoryPlan plan = place({{4096, 0, 9}, {2048, 0, 4}, {1024, 0, 9}, {512, 5, 9}});
  EXPECT_EQ(plan.offsets, (std::vector<int64_t>{0, 4096, 6144, 4096}));
  EXPECT_EQ(plan.arena_bytes, 7168);
}

TEST(MemoryPlan, EqualInputsGiveEqualPlans) {
  const std::vector<Lifetime> values{{512, 0, 3}, {512, 1, 2}, {512, 2, 5}, {512, 4, 6}};
  EXPECT_EQ(place(values).offsets, place(values).offsets);
}

TEST(MemoryPlan, RandomLifetimesNeverOverlap) {
  std::mt19937 random(7);
  const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    std::vector<Lifetime> values(static_cast<size_t>(1 + below(40)));
    const int steps = 1 + below(30);
    for (Lifetime& value : values) {
      value.first = below(static_cast<unsigned>(steps));
      value.last = value.first + below(static_cast<unsigned>(steps - value.first));
      value.bytes = below(4) == 0 ? 0 : below(5000);
    }
    const MemoryPlan plan = place(values);
    EXPECT_EQ(plan.live_peak_bytes, counted_peak(values, steps));
    EXPECT_GE(plan.arena_bytes, plan.live_peak_bytes);
    EXPECT_LE(plan.arena_bytes, plan.total_bytes);
    for (size_t a = 0; a < values.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 256, 0);
      EXPECT_LE(plan.offsets[a] + values[a].bytes, plan.arena_bytes);
      for (size_t b = 0; b < a; ++b) {
        if (!alive_together(values[a], values[b])) continue;
        EXPECT_TRUE(plan.offsets[a] + values[a].bytes <= plan.offsets[b] ||
                    plan.offsets[b] + values[b].bytes <= plan.offsets[a]);
      }
    }
  }
}

}  // namespace
}  // namespace convoy
