// Whole runs on the CPU: the result does not depend on how many ranks there are, replicas stay equal, and a stopped run
// goes on as if it had never stopped.
#include <filesystem>
#include <fstream>

#include "core/base/simd.h"
#include "launcher/collective_errors.h"
#include "launcher/exchange/open_network.h"
#include "tests/core/data/pictures.h"
#include "tests/launcher/cache_checks.h"
#include "tests/launcher/confusion_checks.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class TrainingRunTest : public RunTest {};

// What bf16 must do where this processor has it.
class Bf16RunTest : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    if (simd_level() < SimdLevel::kAvx512) GTEST_SKIP() << "oneDNN cannot run bf16 here (it needs AVX-512)";
  }
};

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

TEST_F(TrainingRunTest, BatchNormOverRanksIsThatOfAllTheirRows) {
  const auto rows = [](const std::string& micro) {
    return std::vector<std::string>{"batch={global: 32, micro: " + micro + "}", "train.sync_bn=true"};
  };
  const Outcome alone = train(1, rows("32"), true);
  for (const auto& [ranks, micro] : {std::pair(4, "8"), std::pair(2, "16")}) {
    std::vector<std::string> settings = rows(micro);
    const Outcome several = train(ranks, settings, true);
    const double distance = worst_distance(several.by_rank[0], alone.by_rank[0]);
    std::printf("%d x %s rows with sync_bn: worst relative distance %.2e\n", ranks, micro, distance);
    EXPECT_LE(distance, 1e-5) << ranks;
    EXPECT_EQ(several.evaluation->correct, alone.evaluation->correct);
    for (const Tensors& replica : several.by_rank) EXPECT_EQ(replica, several.by_rank[0]) << ranks;
    settings.emplace_back("train.recompute=blocks");
    EXPECT_EQ(train(ranks, settings, true).by_rank, several.by_rank);
    EXPECT_GT(worst_distance(train(ranks, {settings[0]}, true).by_rank[0], alone.by_rank[0]), 1e-2);
  }
}

TEST_F(TrainingRunTest, BatchNormOverRanksGoesOnBitForBit) {
  const std::vector<std::string> settings = {"train.sync_bn=true", "checkpoint.every_steps=5"};  // three passes a step
  const Outcome whole = train(4, settings, true);
  fs::remove_all("runs/run/checkpoints/step-0000000020");
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train(4, settings).by_rank, whole.by_rank);
  EXPECT_EQ(train(4, {settings[0], "optimizer.sharded=true"}, true).by_rank, whole.by_rank);
}

TEST_F(TrainingRunTest, BatchNormOverRanksNeedsAsManyMicroBatchesOnEach) {
  EXPECT_EQ(code_of([&] { train(5, {"train.sync_bn=true"}, true); }), ExitCode::kConfig);
  EXPECT_FALSE(fs::exists("runs"));
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

TEST_F(TrainingRunTest, ConfusionDoesNotDependOnTheNumberOfRanks) {
  expect_confused_alike(load(kRunExperiment, {"data.classes=8", "data.test_size=499"}));
}

TEST_F(Bf16RunTest, ConfusionDoesNotDependOnTheNumberOfRanks) {
  expect_confused_alike(load(kRunExperiment, {"data.classes=8", "data.test_size=499", "train.precision=bf16"}));
}

TEST_F(TrainingRunTest, TopFiveOfMoreThanFiveClasses) {
  EXPECT_FALSE(train(1, {"train.steps=1", "data.classes=5", "data.test_size=99"}, true).evaluation->correct_top5);
  const Outcome six = train(2, {"train.steps=1", "data.classes=6", "data.test_size=99"}, true);
  std::ifstream log("runs/run/log.jsonl");
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  const std::string wanted = "\"correct_top5\":" + std::to_string(six.evaluation->correct_top5.value()) + ",";
  EXPECT_NE(lines.find(wanted), std::string::npos) << lines;
}

// What a loss is divided by is the rows of the global batch, whatever the weights of the classes.
TEST_F(TrainingRunTest, NoLossDependsOnTheNumberOfRanks) {
  for (const char* loss : {"loss={label_smoothing: 0.1, class_weights: [0.5, 2, 0, 1.25]}",
                           "loss={type: binary_cross_entropy, label_smoothing: 0.1}", "loss.type=mean_squared_error"}) {
    const std::vector<std::string> overrides = {loss, "data.mix.mixup=0.4", "data.test_size=99",
                                                "optimizer.learning_rate=0.01"};
    const Outcome alone = train(1, overrides, true), several = train(3, overrides, true);
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5) << loss;
    EXPECT_EQ(several.evaluation->correct, alone.evaluation->correct) << loss;
    EXPECT_GT(worst_distance(alone.by_rank[0], train(1, {overrides[1], overrides[2], overrides[3]}, true).by_rank[0]),
              1e-3)
        << loss;
  }
}

TEST_F(TrainingRunTest, SaysWhatItWaitsFor) {
  expect_communication_is_logged([this](const auto& settings) { train(2, settings, true); });
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

TEST_F(TrainingRunTest, RecomputedBlocksAreTheSame) {
  const Outcome plain = train(2, {}, true);
  EXPECT_EQ(train(2, {"train.recompute=blocks"}, true).by_rank, plain.by_rank);
}

TEST_F(TrainingRunTest, WhatNeedsMoreMemoryThanAllowedDoesNotBegin) {
  EXPECT_EQ(code_of([&] {
              train(2, {"train.recompute=auto", "train.memory_mib=0.01"}, true);
            }),
            ExitCode::kOutOfMemory);
  EXPECT_FALSE(fs::exists("runs"));
  EXPECT_EQ(train(2, {"train.recompute=auto", "train.memory_mib=1000"}, true).code, ExitCode::kDone);
}

TEST_F(Bf16RunTest, RecomputedBlocksAreTheSame) {
  EXPECT_EQ(train(2, {"train.recompute=blocks", "train.precision=bf16"}, true).by_rank,
            train(2, {"train.precision=bf16"}, true).by_rank);
}

TEST_F(TrainingRunTest, DataInTheMemoryOfTheDeviceAreTheSame) {
  for (const std::string augment : {"{}", "{flip: 0.5, pad_crop: 2, cutout: 4}"}) {
    const std::string mix = augment == "{}" ? "{}" : "{mixup: 0.4, cutmix: 1, probability: 0.7}";
    std::vector<std::string> settings = {"data.augment=" + augment, "data.mix=" + mix};
    const Outcome read = train(2, settings, true);
    settings.emplace_back("data.cache=ram");
    EXPECT_EQ(train(2, settings, true).by_rank, read.by_rank) << augment;
    settings.back() = "data.cache=device";
    const Outcome gathered = train(2, settings, true);
    EXPECT_EQ(gathered.by_rank, read.by_rank) << augment;
    EXPECT_EQ(gathered.evaluation->correct, read.evaluation->correct);
  }
}

// JPEG files of many sizes, everything random switched on, a file that cannot be read.
class ImageRunTest : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    put_pictures("pictures", 120, 4);
    put_file("pictures/b/17.jpg", get_file("pictures/b/17.jpg").substr(0, 700));
  }

  Outcome train_images(int ranks, std::vector<std::string> overrides = {}, bool fresh = true) {
    const std::vector<std::string> images = {
        "data={format: images, path: pictures, validation: 0.1, on_error: skip, max_bad: 0.02}",
        "data.train_size=null",
        "data.test_size=null",
        "data.augment={flip: 0.5, hue: 0.1, policy: randaugment}",
        "data.mix={mixup: 0.5, cutmix: 1}",
        "batch.global=48",
        "train.steps=8"};
    overrides.insert(overrides.begin(), images.begin(), images.end());
    return train(ranks, overrides, fresh);
  }
};

TEST_F(ImageRunTest, ResultDoesNotDependOnRanksOrThreads) {
  const Outcome alone = train_images(1);
  ASSERT_EQ(alone.code, ExitCode::kDone);
  EXPECT_EQ(train_images(1, {"data.workers=5"}).by_rank, alone.by_rank);
  for (const int ranks : {2, 4}) {
    const Outcome several = train_images(ranks, {"data.workers=2"});
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5) << ranks;
    EXPECT_EQ(several.evaluation->images, alone.evaluation->images);
  }
}

TEST_F(ImageRunTest, ResumedRunIsBitwiseEqualAndTellsOfTheBadImage) {
  const std::vector<std::string> saving = {"checkpoint.every_steps=3", "checkpoint.keep=9"};
  const Outcome whole = train_images(2, saving);
  EXPECT_NE(get_file("runs/run/bad_samples.jsonl").find("b/17.jpg"), std::string::npos);
  for (const char* later : {"step-0000000006", "step-0000000008"}) {
    fs::remove_all(fs::path("runs/run/checkpoints") / later);
  }
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train_images(2, saving, false).by_rank, whole.by_rank);
}

TEST_F(ImageRunTest, MixingNeedsSeveralRows) {
  EXPECT_EQ(code_of([&] { train_images(1, {"batch.micro=1"}); }), ExitCode::kConfig);
}

TEST_F(ImageRunTest, TooManyBadImagesAndOtherImagesAreRefused) {
  train_images(1);
  EXPECT_EQ(code_of([&] { train_images(1, {"data.max_bad=0"}); }), ExitCode::kBadData);
  put_bytes("pictures/c/new.jpg", encode_jpeg(picture(50, 50, 999), 90));
  fs::remove("runs/run/status.json");
  train_images(1);
  put_bytes("pictures/c/newer.jpg", encode_jpeg(picture(50, 50, 998), 90));
  fs::remove("runs/run/status.json");
  EXPECT_EQ(code_of([&] { train_images(1, {"train.steps=9"}, false); }), ExitCode::kConfig);
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

// What error feedback keeps, and copies that differ, are in no checkpoint: none has either.
TEST_F(TrainingRunTest, WhatBelongsToARankIsNotNeededToGoOn) {
  const std::pair<std::string, std::string> cases[] = {
      {"distributed.gradients=bf16", "distributed.error_feedback=true"},
      {"train.ema_decay=0.75", "distributed.average_every=3"}};
  for (const auto& [with, own] : cases) {
    const std::vector<std::string> settings = {with,
                                               own,
                                               "checkpoint.every_steps=5",
                                               "checkpoint.best=loss",
                                               "checkpoint.keep=9",
                                               "train.eval_every_epochs=1"};
    const Outcome without = train(3, {with}, true), whole = train(3, settings, true);
    EXPECT_EQ(whole.by_rank[1], whole.by_rank[0]);
    EXPECT_NE(whole.by_rank[0], without.by_rank[0]) << own;
    fs::remove_all("runs/run/checkpoints/step-0000000020");
    fs::remove_all("runs/run/checkpoints/step-0000000015");
    fs::remove("runs/run/status.json");
    const Outcome later = train(3, settings);
    EXPECT_EQ(later.by_rank, whole.by_rank) << own;
    EXPECT_EQ(later.evaluation->loss, whole.evaluation->loss) << own;
    fs::remove("runs/run/status.json");  // finished, and evaluated once more
    EXPECT_EQ(train(3, settings).by_rank, whole.by_rank) << own;
  }
}

// The mean of copies after one step of SGD is the step of the mean gradient; a checkpoint takes the mean.
TEST_F(TrainingRunTest, AveragedAfterEveryStepCopiesAreTheUsualRun) {
  const Outcome usual = train(3, {}, true);
  const Outcome apart = train(3, {"distributed.average_every=1000", "checkpoint.every_steps=1"}, true);
  for (const Tensors& replica : apart.by_rank) EXPECT_EQ(replica, apart.by_rank[0]);
  EXPECT_LE(worst_distance(apart.by_rank[0], usual.by_rank[0]), 1e-5);
  EXPECT_GT(worst_distance(train(3, {"distributed.average_every=1000"}, true).by_rank[0], usual.by_rank[0]), 1e-4);
  EXPECT_EQ(code_of([&] { train(5, {"distributed.average_every=2"}, true); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] {
              train(2, {"distributed.average_every=2", "optimizer.sharded=true"}, true);
            }),
            ExitCode::kConfig);
}

TEST_F(TrainingRunTest, WhatNeedsAGpuIsRefusedOnTheCpu) {
  for (const char* setting : {"train.precision=f16", "train.cuda_graph=on"}) {
    EXPECT_EQ(code_of([&] { train(2, {"device=cpu", setting}, true); }), ExitCode::kConfig) << setting;
  }
}

TEST_F(TrainingRunTest, TheLearningRateMayGrowWithTheBatch) {
  const Outcome plain = train(2, {}, true);
  testing::internal::CaptureStdout();
  const Outcome scaled = train(2, {"optimizer.learning_rate={base: 0.0125, per: 24}", "progress=plain"}, true);
  const std::string header = testing::internal::GetCapturedStdout();
  EXPECT_NE(header.find("sgd, learning rate 0.05 = 0.0125 × 96 / 24, momentum 0.9, "
                        "weight decay 0.0005 (coupled, not of biases and norms), cosine schedule"),
            std::string::npos)
      << header;
  EXPECT_EQ(scaled.by_rank, plain.by_rank);
  EXPECT_EQ(
      load_checkpoint("runs/run/checkpoints/step-0000000020").optimizer.metadata().at("convoy.optimizer").find("per:"),
      std::string::npos);
}

TEST_F(Bf16RunTest, AdamResumesBitwiseEqual) {
  const std::vector<std::string> adam = {"optimizer.type=adam", "optimizer.momentum=null",
                                         "optimizer.learning_rate=0.001", "checkpoint.every_steps=10",
                                         "train.precision=bf16"};
  const Outcome whole = train(1, adam, true);
  fs::remove_all("runs/run/checkpoints/step-0000000020");
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train(1, adam).by_rank, whole.by_rank);
}

TEST_F(TrainingRunTest, EveryRuleIsTheSameOnTwoRanksAndResumesBitwiseEqual) {
  for (RuleCase& it : rule_cases()) {
    SCOPED_TRACE(it.name);
    const Outcome alone = train(1, it.settings, true);
    const auto average = averages_in(load_checkpoint("runs/run/checkpoints/step-0000000020").state.tensors());
    it.settings.emplace_back("checkpoint.every_steps=10");
    const Outcome whole = train(2, it.settings, true);
    const auto of_two = averages_in(load_checkpoint("runs/run/checkpoints/step-0000000020").state.tensors());
    const double distance = worst_distance(whole.by_rank[0], alone.by_rank[0]);
    std::printf("%s: two ranks against one: worst relative distance %.2e, of averages %.2e; %lld correct\n", it.name,
                distance, worst_distance(of_two, average), static_cast<long long>(whole.evaluation->correct));
    EXPECT_LE(distance, 1e-5);
    EXPECT_LE(worst_distance(of_two, average), 1e-5);
    EXPECT_EQ(whole.by_rank[1], whole.by_rank[0]);
    fs::remove_all("runs/run/checkpoints/step-0000000020");
    fs::remove("runs/run/status.json");
    const Outcome resumed = train(2, it.settings);
    EXPECT_EQ(resumed.by_rank, whole.by_rank);
    EXPECT_EQ(resumed.evaluation->loss, whole.evaluation->loss);
    EXPECT_EQ(averages_in(load_checkpoint("runs/run/checkpoints/step-0000000020").state.tensors()), of_two);
  }
}

TEST_F(TrainingRunTest, TheAverageIsEvaluatedAndExportedAndChangesNothing) {
  const std::vector<std::string> saving = {"train.steps=6", "checkpoint.every_steps=1", "checkpoint.keep=99",
                                           "train.exports=[m.safetensors]"};
  const Outcome plain = train(1, saving, true);
  std::vector<std::string> averaging = saving;
  averaging.insert(averaging.end(), {"train.ema_decay=0.75", "train.export_ema=true"});
  const Outcome averaged = train(1, averaging, true);
  EXPECT_EQ(averaged.by_rank, plain.by_rank);
  EXPECT_NE(averaged.evaluation->loss, plain.evaluation->loss);
  EXPECT_NE(get_file("runs/run/log.jsonl").find("\"weights\":\"ema\""), std::string::npos);

  std::map<std::string, std::vector<float>> last;
  for (int step = 1; step <= 6; ++step) {
    const Checkpoint checkpoint = load_checkpoint("runs/run/checkpoints/step-000000000" + std::to_string(step));
    const auto average = averages_in(checkpoint.state.tensors());
    const Tensors weights = tensors(checkpoint.model.tensors());
    EXPECT_EQ(average.size(), weights.size());
    for (const auto& [name, values] : last) {
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(average.at(name)[i], values[i] + 0.25F * (weights.at(name)[i] - values[i])) << name << " " << step;
      }
    }
    last = average;
  }
  EXPECT_EQ(open_network("runs/run", {.averaged = true}).network.weights, last);
  EXPECT_EQ(open_network("runs/run/m.safetensors").network.weights, last);
  EXPECT_NE(open_network("runs/run").network.weights, last);
  // With the averages as weights there is nothing else that an evaluation could have scored.
  const std::vector<std::string> from_average = {"experiment.name=other", "train.steps=1",
                                                 "model.weights=runs/run/m.safetensors",
                                                 "optimizer.learning_rate=1e-30", "train.ema_decay=0.999999"};
  EXPECT_NEAR(train(1, from_average, true).evaluation->loss, averaged.evaluation->loss, 1e-6);
}

TEST_F(TrainingRunTest, ACheckpointWithoutTheAverageIsRefusedWhereThereShallBeOne) {
  train(1, {"train.steps=2"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=3", "train.ema_decay=0.9"}); }), ExitCode::kConfig);
  EXPECT_EQ(code_of([&] { open_network("runs/run", {.averaged = true}); }), ExitCode::kUsage);
  train(1, {"train.steps=2", "train.ema_decay=0.9"}, true);
  EXPECT_EQ(code_of([&] { train(1, {"train.steps=3"}); }), ExitCode::kConfig);
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
  expect_error(ExitCode::kNonFinite, {"not finite in step 2, first in 'conv2d_2 forward' of rank 0"},
               [&] { train(2, {"optimizer.learning_rate=1e30"}, true); });
  EXPECT_TRUE(fs::is_empty("runs/run/checkpoints"));
}

TEST_F(TrainingRunTest, NonFiniteWeightsAreNotSavedAndStop) {
  expect_error(ExitCode::kNonFinite, {"a weight or a running statistic is not finite after step 1"}, [&] {
    train(2, {"train.steps=1", "optimizer.groups=[{match: batch_norm_1.bias, learning_rate_scale: 1e45}]"}, true);
  });
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
