#include "launcher/setup.h"

#include "launcher/datasets.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

class SetupTest : public ConfigTest {};

TEST_F(SetupTest, AGroupThatMatchesNothingIsNamedWithItsPlace) {
  const std::vector<std::string> names = {"conv2d_1.weight", "conv2d_1.bias"};
  const OptimizerConfig good = load(kMinimal, {"optimizer.groups=[{match: '*.bias'}]"}).optimizer;
  EXPECT_NO_THROW(require_matches(good, names));
  const OptimizerConfig bad =
      load(std::string(kMinimal) + "  groups:\n    - match: '*.bias'\n    - match: '*.gamma'\n").optimizer;
  try {
    require_matches(bad, names);
    ADD_FAILURE() << "accepted a group without parameters";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_STREQ(error.what(), "x.yaml:19:7: optimizer.groups[1].match: '*.gamma' matches no parameter");
  }
}

TEST_F(SetupTest, SchedulesGoFromPhaseToPhase) {
  const Experiment experiment = load(
      kMinimal, {"schedule={warmup_epochs: 0.5, phases: [{type: multistep, milestones: [1, 2], gamma: 0.5, epochs: 2}, "
                 "{type: polynomial, final: 0.5, epochs: 1}, {start: 0.125}]}"});
  const Schedule schedule = make_schedule(experiment, 1, {.steps = 50, .stages = {{.steps_per_epoch = 10}}});
  const std::pair<int64_t, float> rates[] = {{0, 0.2F},   {4, 1},       {9, 1},      {10, 0.5F},
                                             {20, 0.25F}, {24, 0.25F},  {25, 1},     {30, 0.75F},
                                             {34, 0.55F}, {35, 0.125F}, {49, 0.125F}};
  for (const auto& [step, rate] : rates) EXPECT_FLOAT_EQ(schedule(step), rate) << step;
}

TEST_F(SetupTest, SchedulesDoInAnEpochWhatTheyDoWithoutStages) {
  const Experiment experiment =
      load(kMinimal, {"schedule={warmup_epochs: 1, type: multistep, milestones: [2, 3], gamma: 0.5}"});
  const Schedule plain = make_schedule(experiment, 1, {.steps = 50, .stages = {{.steps_per_epoch = 10}}});
  const Schedule staged = make_schedule(experiment, 1, {.steps = 40, .stages = {{0, 0, 5}, {2, 10, 10}}});
  for (int64_t step = 0; step < 10; ++step) EXPECT_EQ(staged(step), plain(2 * step)) << step;
  for (int64_t step = 10; step < 40; ++step) EXPECT_EQ(staged(step), plain(step + 10)) << step;
}

TEST_F(SetupTest, APartOfAScheduleHasAStepAtLeast) {
  const Horizon horizon{.steps = 50, .stages = {{.steps_per_epoch = 10}}};
  for (const char* schedule : {"{type: cosine, restart_epochs: 0.01}", "{phases: [{epochs: 0.01}, {type: cosine}]}"}) {
    const Experiment experiment = load(kMinimal, {std::string("schedule=") + schedule});
    EXPECT_THROW(make_schedule(experiment, 1, horizon), Error) << schedule;
  }
}

TEST_F(SetupTest, TrainingSamplesAreKnownBeforeTheyAreRead) {
  const std::vector<std::string> made = {"data.format=synthetic", "data.train=null", "data.shape=[8,8,1]",
                                         "data.train_size=100"};
  EXPECT_EQ(training_samples(load(kMinimal, made).data), 100);
  write("i.gz", std::string("\0\0\x8\x3\0\0\0\x7\0\0\0\x1\0\0\0\x1", 16));
  EXPECT_EQ(training_samples(load(kMinimal).data), 7);
  EXPECT_EQ(training_samples(load(kMinimal, {"data.train_limit=5"}).data), 5);
  EXPECT_EQ(training_samples(load(kMinimal, {"data.train_limit=9"}).data), 7);
}

}  // namespace
}  // namespace convoy
