#include "launcher/horizon.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

// 2 epochs of 10 steps, 3 of 5, the rest of 20.
Horizon in_stages() {
  return {.steps = 75, .stages = {{0, 0, 10}, {2, 20, 5}, {5, 35, 20}}, .evaluate_epochs = 2, .save_epochs = 3};
}

TEST(Horizon, KnowsStageAndEpochOfEachStep) {
  const Horizon horizon = in_stages();
  struct {
    int64_t step;
    size_t stage;
    int64_t epoch, in_epoch;
  } cases[] = {{0, 0, 0, 0},  {9, 0, 0, 9},  {10, 0, 1, 0}, {19, 0, 1, 9}, {20, 1, 2, 0},
               {24, 1, 2, 4}, {25, 1, 3, 0}, {34, 1, 4, 4}, {35, 2, 5, 0}, {74, 2, 6, 19}};
  for (const auto& [step, stage, epoch, in_epoch] : cases) {
    EXPECT_EQ(horizon.stage(step), stage) << step;
    EXPECT_EQ(horizon.epoch(step), epoch) << step;
    EXPECT_EQ(horizon.step_in_epoch(step), in_epoch) << step;
  }
}

TEST(Horizon, PausesAtTheEndOfEpochs) {
  Horizon horizon = in_stages();
  std::vector<int64_t> evaluations, saves;
  for (int64_t step = 1; step <= horizon.steps; ++step) {
    if (horizon.evaluates(step)) evaluations.push_back(step);
    if (horizon.saves(step)) saves.push_back(step);
  }
  EXPECT_EQ(evaluations, (std::vector<int64_t>{20, 30, 55}));
  EXPECT_EQ(saves, (std::vector<int64_t>{25, 55}));
  horizon.evaluate_epochs = horizon.save_epochs = 0;
  horizon.save_steps = 30;
  EXPECT_FALSE(horizon.evaluates(20));
  EXPECT_TRUE(horizon.saves(60));
  EXPECT_FALSE(horizon.saves(55));
}

TEST(Horizon, FindsTheStepOfAnEpoch) {
  const Horizon horizon = in_stages();
  const std::pair<double, int64_t> cases[] = {{0, 0}, {0.26, 3}, {2, 20}, {2.5, 23}, {5, 35}, {5.25, 40}, {7, 75}};
  for (const auto& [epochs, step] : cases) EXPECT_EQ(horizon.step_at(epochs), step) << epochs;
}

TEST(Horizon, SchedulesSeeEpochsOfEqualLength) {
  const Horizon horizon = in_stages();
  const std::pair<int64_t, int64_t> cases[] = {{0, 0}, {1, 2}, {10, 20}, {20, 40}, {21, 44}, {35, 100}, {36, 101}};
  for (const auto& [step, seen] : cases) EXPECT_EQ(horizon.schedule_step(step), seen) << step;
  const Horizon alike{.steps = 9, .stages = {{.steps_per_epoch = 7}}};
  for (int64_t step = 0; step < 9; ++step) EXPECT_EQ(alike.schedule_step(step), step);
}

}  // namespace
}  // namespace convoy
