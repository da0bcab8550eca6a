#include "core/train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace convoy {
namespace {

using Type = ScheduleOptions::Type;

void expect_rates(const ScheduleOptions& options, const std::vector<float>& rates) {
  const Schedule schedule = make_schedule(options);
  for (size_t step = 0; step < rates.size(); ++step) {
    EXPECT_NEAR(schedule(static_cast<int64_t>(step)), rates[step], 1e-6 * options.learning_rate) << "step " << step;
  }
}

// The literals down to Warmup… are PyTorch's: tests/oracles/pytorch_optimizers.py prints them.

TEST(Schedule, StepIsStepLr) {
  expect_rates({.type = Type::kStep, .learning_rate = 0.4F, .step_steps = 3, .gamma = 0.5F},
               {0.4F, 0.4F, 0.4F, 0.2F, 0.2F, 0.2F, 0.1F, 0.1F, 0.1F, 0.05F});
}

TEST(Schedule, CosineIsCosineAnnealingLr) {
  expect_rates({.type = Type::kCosine, .learning_rate = 0.4F, .total_steps = 9, .final_fraction = 0.1F},
               {0.4F, 0.38914467F, 0.357888F, 0.31F, 0.25125667F, 0.18874333F, 0.13F, 0.082112F, 0.050855328F, 0.04F});
}

TEST(Schedule, MultistepIsMultiStepLr) {
  expect_rates({.type = Type::kMultistep, .learning_rate = 0.4F, .gamma = 0.5F, .milestones = {2, 3, 7}},
               {0.4F, 0.4F, 0.2F, 0.1F, 0.1F, 0.1F, 0.1F, 0.05F, 0.05F, 0.05F});
}

TEST(Schedule, ExponentialIsExponentialLr) {
  expect_rates({.type = Type::kExponential, .learning_rate = 0.4F, .step_steps = 1, .gamma = 0.9F},
               {0.4F, 0.36F, 0.324F, 0.2916F, 0.26244F, 0.236196F, 0.2125764F, 0.19131876F, 0.17218688F, 0.1549682F});
  const Schedule by_epochs =
      make_schedule({.type = Type::kExponential, .learning_rate = 1, .step_steps = 10, .gamma = 0.25F});
  EXPECT_FLOAT_EQ(by_epochs(5), 0.5F);  // smooth within an epoch
  EXPECT_FLOAT_EQ(by_epochs(20), 0.0625F);
}

TEST(Schedule, PolynomialIsPolynomialLr) {
  expect_rates({.type = Type::kPolynomial, .learning_rate = 0.4F, .total_steps = 8, .power = 2},
               {0.4F, 0.30625F, 0.225F, 0.15625F, 0.1F, 0.05625F, 0.025F, 0.00625F, 0, 0});
}

TEST(Schedule, PolynomialOfPower1IsLinearLr) {
  expect_rates({.type = Type::kPolynomial,
                .learning_rate = 0.4F,
                .total_steps = 4,
                .start_fraction = 0.25F,
                .final_fraction = 0.75F},
               {0.1F, 0.15F, 0.2F, 0.25F, 0.3F, 0.3F, 0.3F, 0.3F, 0.3F, 0.3F});
}

TEST(Schedule, CosineWithRestartsIsCosineAnnealingWarmRestarts) {
  expect_rates({.type = Type::kCosine,
                .learning_rate = 0.4F,
                .total_steps = 10,
                .final_fraction = 0.1F,
                .restart_steps = 2,
                .restart_factor = 2},
               {0.4F, 0.22F, 0.4F, 0.34727922F, 0.22F, 0.092720779F, 0.4F, 0.38629832F, 0.34727922F, 0.28888302F});
  expect_rates({.type = Type::kCosine, .learning_rate = 0.4F, .total_steps = 10, .restart_steps = 4},
               {0.4F, 0.34142136F, 0.2F, 0.058578644F, 0.4F, 0.34142136F, 0.2F, 0.058578644F, 0.4F, 0.34142136F});
}

TEST(Schedule, OneCycleIsOneCycleLr) {
  expect_rates({.type = Type::kOneCycle,
                .learning_rate = 0.4F,
                .total_steps = 11,
                .start_fraction = 0.04F,
                .final_fraction = 4e-6F},
               {0.016F, 0.16893645F, 0.38410457F, 0.39189863F, 0.35379029F, 0.29043482F, 0.21223308F, 0.13202321F,
                0.062973005F, 0.016418217F});
  expect_rates({.type = Type::kOneCycle,
                .learning_rate = 0.4F,
                .total_steps = 11,
                .start_fraction = 0.2F,
                .final_fraction = 0.02F,
                .rise = 0.5F},
               {0.08F, 0.11743289F, 0.21221629F, 0.32F, 0.39035082F, 0.39206062F, 0.3323527F, 0.23189371F, 0.12257866F,
                0.039114308F});
}

TEST(Schedule, PhasesAreSequentialLr) {
  const Schedule schedule =
      in_sequence({{make_schedule({.learning_rate = 0.4F, .start_fraction = 0.5F}), 2},
                   {make_schedule({.type = Type::kCosine, .learning_rate = 0.4F, .total_steps = 4}), 4},
                   {make_schedule({.learning_rate = 0.4F, .start_fraction = 0.25F}), 0}});
  const std::vector<float> rates{0.2F, 0.2F, 0.4F, 0.34142136F, 0.2F, 0.058578644F, 0.1F, 0.1F, 0.1F, 0.1F};
  for (size_t step = 0; step < rates.size(); ++step) {
    EXPECT_NEAR(schedule(static_cast<int64_t>(step)), rates[step], 1e-7) << "step " << step;
  }
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
