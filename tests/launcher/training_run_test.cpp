// Whole runs on the CPU: the result does not depend on how many ranks there are, replicas stay equal, and a stopped run
// goes on as if it had never stopped.
#include <filesystem>
#include <fstream>

#include "launcher/collective_errors.h"
#include "tests/launcher/cache_checks.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class TrainingRunTest : public RunTest {};

TEST_F(TrainingRunTest, ResultDoesNotDependOnTheNumberOfRanks) {
  const Outcome alone = train(1, {}, true);
  ASSERT_EQ(alone.code, ExitCode::kDone);
  EXPECT_GT(alone.evaluation->accuracy(), 0.5);  // of four classes: it has learned something
  for (int ranks = 2; ranks <= 5; ++ranks) {
    const Outcome several = train(ranks, {}, true);
    const double distance = worst_distance(several.by_rank[0], alone.by_rank[0]);
    RecordProperty("distance_np" + std::to_string(ranks), std::to_string(distance));
    std::printf("%d ranks: worst relative distance %.2e, %lld of %lld correct\n", ranks, distance,
                static_cast<long long>(several.evaluation->correct),
                static_cast<long long>(several.evaluation->images));
    EXPECT_LE(distance, 1e-5) << ranks;
    for (const Tensors& replica : several.by_rank) EXPECT_EQ(replica, several.by_rank[0]) << ranks;
  }
}

TEST_F(TrainingRunTest, EvaluationCountsEachImageOnceForAnyNumberOfRanks) {
  const std::vector<std::string> few = {"train.steps=1"};  // it has not learned much
  const Outcome trained = train(1, few, true);
  EXPECT_EQ(trained.evaluation->images, 9973);
  EXPECT_GT(trained.evaluation->correct, 100);
  EXPECT_LT(trained.evaluation->correct, 9900);
  for (int ranks = 1; ranks <= 5; ++ranks) {
    // Goes on from the finished state: nothing is trained, so all evaluate the same weights.
    fs::remove("runs/run/status.json");
    const Outcome again = train(ranks, few);
    EXPECT_EQ(again.by_rank[0], trained.by_rank[0]);
    EXPECT_EQ(again.evaluation->images, 9973);
    EXPECT_EQ(again.evaluation->correct, trained.evaluation->correct) << ranks;
  }
}

TEST_F(TrainingRunTest, ResumedRunIsBitwiseEqual) {
  const std::vector<std::string> saving = {"checkpoint.every_steps=5", "checkpoint.keep=9"};
  const Outcome whole = train(2, saving, true);
  for (const int64_t step : {5, 15}) {
    for (int64_t later = step + 5; later <= 20; later += 5) {
      char name[64];
      std::snprintf(name, sizeof name, "runs/run/checkpoints/step-%010lld", static_cast<long long>(later));
      fs::remove_all(name);
    }
    fs::remove("runs/run/status.json");
    EXPECT_EQ(train(2, saving).by_rank, whole.by_rank) << "from step " << step;
  }
}

TEST_F(TrainingRunTest, DataInTheMemoryOfTheDeviceAreTheSame) {
  const std::vector<std::string> cached = {"data.cache=device"};
  const Outcome read = train(2, {}, true), gathered = train(2, cached, true);
  EXPECT_EQ(gathered.by_rank, read.by_rank);
  EXPECT_EQ(gathered.evaluation->correct, read.evaluation->correct);
}

TEST_F(TrainingRunTest, TheDeviceAugmentsAndMixesAsTheHostDoes) {
  const std::unique_ptr<Communicator> solo = make_solo_communicator();
  Backend backend = make_backend(load(kRunExperiment), *solo, 2);
  expect_cached_as_read(backend);
}

TEST_F(TrainingRunTest, GradientsMayTravelAsBf16) {
  const std::vector<std::string> halved = {"distributed.gradients=bf16"};
  const Outcome whole = train(3, {}, true), rounded = train(3, halved, true);
  for (const Tensors& replica : rounded.by_rank) EXPECT_EQ(replica, rounded.by_rank[0]);
  EXPECT_NE(rounded.by_rank[0], whole.by_rank[0]);
  EXPECT_LE(worst_distance(rounded.by_rank[0], whole.by_rank[0]), 0.05);
}

TEST_F(TrainingRunTest, WhatNeedsAGpuIsRefusedOnTheCpu) {
  for (const char* setting : {"train.precision=f16", "train.cuda_graph=on"}) {
    EXPECT_EQ(code_of([&] { train(2, {"device=cpu", setting}, true); }), ExitCode::kConfig) << setting;
  }
}

TEST_F(TrainingRunTest, AdamResumesBitwiseEqual) {
  const std::vector<std::string> adam = {"optimizer.type=adam", "optimizer.momentum=null",
                                         "optimizer.learning_rate=0.001", "checkpoint.every_steps=10",
                                         "train.precision=bf16"};
  const Outcome whole = train(1, adam, true);
  fs::remove_all("runs/run/checkpoints/step-0000000020");
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train(1, adam).by_rank, whole.by_rank);
}

TEST_F(TrainingRunTest, SignalsSaveAndStopAndTheNextLifeGoesOn) {
  const Outcome whole = train(2, {}, true);
  const Outcome stopped = train(2, {}, true, SIGUSR1);
  EXPECT_EQ(stopped.code, ExitCode::kPreempted);
  EXPECT_TRUE(fs::exists("runs/run/checkpoints/step-0000000001"));
  const Outcome interrupted = train(2, {}, false, SIGINT);
  EXPECT_EQ(interrupted.code, ExitCode::kInterrupted);
  EXPECT_TRUE(fs::exists("runs/run/checkpoints/step-0000000002"));
  const Outcome rest = train(2);
  EXPECT_EQ(rest.code, ExitCode::kDone);
  EXPECT_EQ(rest.by_rank, whole.by_rank);
}

TEST_F(TrainingRunTest, FinishedRunIsNotStartedAgain) {
  train(1, {"train.steps=2"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=2"}); }), ExitCode::kCannotCreate);
  EXPECT_EQ(train(1, {"train.steps=3"}).code, ExitCode::kDone);
}

TEST_F(TrainingRunTest, NonFiniteLossStopsAndSavesNothing) {
  EXPECT_EQ(code_of([&] { train(2, {"optimizer.learning_rate=1e30"}, true); }), ExitCode::kNonFinite);
  EXPECT_TRUE(fs::is_empty("runs/run/checkpoints"));
}

TEST_F(TrainingRunTest, CheckpointOfOtherBatchesIsRefused) {
  train(1, {"train.steps=2"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"batch.global=48"}); }), ExitCode::kConfig);
}

TEST_F(TrainingRunTest, CheckpointOfAnotherNetworkIsRefused) {
  train(1, {"train.steps=2"}, true);
  fs::remove("runs/run/status.json");
  EXPECT_EQ(code_of([&] { train(1, {"model.layers=[flatten, {linear: {units: classes}}]"}); }), ExitCode::kConfig);
}

TEST_F(TrainingRunTest, RefusedResumeLeavesTheRecordedSettingsAlone) {
  train(1, {"train.steps=2"}, true);
  const auto recorded = [] {
    std::ifstream file("runs/run/config.yaml");
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = recorded();
  EXPECT_EQ(code_of([&] { train(1, {"experiment.seed=3"}); }), ExitCode::kConfig);
  EXPECT_EQ(recorded(), before);
}

TEST_F(TrainingRunTest, ADirectoryHoldsOneHistory) {
  train(1, {"train.steps=2"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=3", "checkpoint.resume=never"}); }), ExitCode::kCannotCreate);
  EXPECT_EQ(train(1, {"train.steps=3", "checkpoint.resume=never"}, true).code, ExitCode::kDone);
}

TEST_F(TrainingRunTest, APathIsWhereARunWithoutCheckpointsStarts) {
  const Outcome whole = train(1, {"checkpoint.every_steps=5", "checkpoint.keep=9"}, true);
  const std::vector<std::string> other = {"experiment.name=other",
                                          "checkpoint.resume=runs/run/checkpoints/step-0000000005"};
  EXPECT_EQ(train(1, other, false, SIGUSR1).code, ExitCode::kPreempted);
  EXPECT_TRUE(fs::exists("runs/other/checkpoints/step-0000000006"));
  EXPECT_EQ(train(1, other).by_rank, whole.by_rank);  // the same command goes on, from 6 and not from 5
}

TEST_F(TrainingRunTest, RanksWithAnotherProgramAreNamed) {
  const Experiment experiment = load(kRunExperiment);
  Signals signals;
  std::string message;
  const ExitCode code = code_of([&] {
    run_thread_group(3, [&](Communicator& communicator) {
      try {
        const std::string version = communicator.rank() == 1 ? "test 2" : "test";
        TrainingRun run({.version = version, .fresh = true}, experiment, communicator, signals);
      } catch (const Error& error) {
        if (communicator.rank() == 0) message = error.what();
        throw;
      }
    });
  });
  EXPECT_EQ(code, ExitCode::kRanksDisagree);
  EXPECT_NE(message.find("rank 1 differs from the other ranks: program: 'test 2' instead of 'test'"), std::string::npos)
      << message;
}

TEST_F(TrainingRunTest, RunThatIsAlreadyLongerIsRefused) {
  train(1, {"train.steps=3"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=2"}); }), ExitCode::kCannotCreate);  // it is finished
  fs::remove("runs/run/status.json");
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=2"}); }), ExitCode::kConfig);
}

}  // namespace
}  // namespace convoy
