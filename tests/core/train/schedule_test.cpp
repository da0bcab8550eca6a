#include "core/train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace convoy {
namespace {

using Type = ScheduleOptions::Type;

void expect_rates(const ScheduleOptions& options, const std::vector<float>& rates) {
  const Schedule schedule = make_schedule(options);
  for (size_t step = 0; step < rates.size(); ++step) {
    EXPECT_NEAR(schedule(static_cast<int64_t>(step)), rates[step], 1e-6 * rates[0]) << "step " << step;
  }
}

// The literals of the next three are PyTorch's: tests/oracles/pytorch_optimizers.py prints them.

TEST(Schedule, StepIsStepLr) {
  expect_rates({.type = Type::kStep, .learning_rate = 0.4F, .step_steps = 3, .gamma = 0.5F},
               {0.4F, 0.4F, 0.4F, 0.2F, 0.2F, 0.2F, 0.1F, 0.1F, 0.1F, 0.05F});
}

TEST(Schedule, CosineIsCosineAnnealingLr) {
  expect_rates({.type = Type::kCosine, .learning_rate = 0.4F, .total_steps = 9, .final_fraction = 0.1F},
               {0.4F, 0.38914467F, 0.357888F, 0.31F, 0.25125667F, 0.18874333F, 0.13F, 0.082112F, 0.050855328F, 0.04F});
}

// LinearLR, but without its step 0, in which nothing would have warmed up yet.
TEST(Schedule, WarmupIsLinearLrOneStepAhead) {
  expect_rates({.learning_rate = 0.4F, .warmup_steps = 5, .warmup_start = 0.2F},
               {0.144F, 0.208F, 0.272F, 0.336F, 0.4F, 0.4F, 0.4F, 0.4F, 0.4F});
}

TEST(Schedule, ConstantNeverChanges) { expect_rates({.learning_rate = 0.3F}, std::vector<float>(20, 0.3F)); }

TEST(Schedule, TheShapeBeginsWhereWarmupEnds) {
  const Schedule cosine =
      make_schedule({.type = Type::kCosine, .learning_rate = 1, .total_steps = 30, .warmup_steps = 10});
  EXPECT_FLOAT_EQ(cosine(0), 0.1F);
  EXPECT_FLOAT_EQ(cosine(9), 1);
  EXPECT_FLOAT_EQ(cosine(10), 1);
  EXPECT_FLOAT_EQ(cosine(20), 0.5F);
  EXPECT_NEAR(cosine(30), 0, 1e-7);
  EXPECT_NEAR(cosine(45), 0, 1e-7);  // stays where it ended

  const Schedule step =
      make_schedule({.type = Type::kStep, .learning_rate = 1, .step_steps = 5, .gamma = 0.1F, .warmup_steps = 2});
  EXPECT_FLOAT_EQ(step(0), 0.5F);
  EXPECT_FLOAT_EQ(step(6), 1);
  EXPECT_FLOAT_EQ(step(7), 0.1F);
  EXPECT_FLOAT_EQ(step(12), 0.01F);
}

TEST(Schedule, LaterStepsDoNotDependOnEarlierCalls) {
  const ScheduleOptions options{
      .type = Type::kCosine, .learning_rate = 1, .total_steps = 1'000'000, .warmup_steps = 500};
  const Schedule used = make_schedule(options);
  for (int64_t step = 0; step < 1000; ++step) used(step);
  EXPECT_EQ(used(123'456), make_schedule(options)(123'456));
}

}  // namespace
}  // namespace convoy
