// Whole runs on the fake of CUDA (tests/cuda_on_cpu): everything but cuDNN, cuBLASLt, NCCL and the card itself is what
// runs on a GPU.  The CPU is the oracle.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "core/device/cuda_library.h"
#include "tests/core/base/testing.h"
#include "tests/cuda_on_cpu/fake_library.h"
#include "tests/launcher/cache_checks.h"
#include "tests/launcher/confusion_checks.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class CudaRunTest : public RunTest {
 protected:
  void TearDown() override {
    const FakeLive live = library_.function<decltype(convoy_fake_live)>("convoy_fake_live")();
    EXPECT_EQ(live.device_memory + live.pinned_memory + live.streams + live.events + live.graphs, 0);
    boot({});  // ends what this test made the machine be, and its threads
    unsetenv("CONVOY_CUDA_LIBRARY");
  }

  void boot(const FakeMachine& machine) { library_.function<decltype(convoy_fake_boot)>("convoy_fake_boot")(machine); }

  // A short run: fibres are slow.
  Outcome train_cuda(int ranks, std::vector<std::string> overrides = {}, bool fresh = true, int signal = 0) {
    const std::vector<std::string> common = {"device=cuda", "train.precision=f32", "train.steps=5", "batch.global=32",
                                             "data.test_size=29"};
    overrides.insert(overrides.begin(), common.begin(), common.end());
    return train(ranks, overrides, fresh, signal);
  }

  CudaLibrary library_ = [] {
    setenv("CONVOY_CUDA_LIBRARY", CONVOY_FAKE_CUDA, 1);
    return load_cuda_library();
  }();
};

TEST_F(CudaRunTest, EqualsTheCpu) {
  const Outcome cuda = train_cuda(1), cpu = train_cuda(1, {"device=cpu"});
  EXPECT_EQ(cuda.code, ExitCode::kDone);
  const double distance = worst_distance(cuda.by_rank[0], cpu.by_rank[0]);
  std::printf("fake CUDA against CPU, f32, 5 steps: worst relative distance %.2e\n", distance);
  EXPECT_LE(distance, 1e-5);
  EXPECT_EQ(cuda.evaluation->images, 29);
  EXPECT_EQ(cuda.evaluation->correct, cpu.evaluation->correct);
  EXPECT_NEAR(cuda.evaluation->loss, cpu.evaluation->loss, 1e-5);
}

TEST_F(CudaRunTest, BatchNormOverRanksIsThatOfAllTheirRows) {
  const Outcome alone = train_cuda(1, {"batch.micro=32", "device=cpu"});
  const Outcome several = train_cuda(2, {"batch.micro=16", "train.sync_bn=true"});
  EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5);
  EXPECT_EQ(several.by_rank[1], several.by_rank[0]);
}

TEST_F(CudaRunTest, EveryLossEqualsTheCpus) {
  for (const char* loss : {"loss={label_smoothing: 0.1, class_weights: [0.5, 2, 0, 1.25]}",
                           "loss={type: binary_cross_entropy, label_smoothing: 0.1}", "loss.type=mean_squared_error"}) {
    const Outcome cuda = train_cuda(1, {loss, "data.mix.mixup=0.4", "optimizer.learning_rate=0.01"});
    const Outcome cpu = train_cuda(1, {loss, "data.mix.mixup=0.4", "optimizer.learning_rate=0.01", "device=cpu"});
    EXPECT_LE(worst_distance(cuda.by_rank[0], cpu.by_rank[0]), 1e-5) << loss;
    EXPECT_EQ(cuda.evaluation->correct, cpu.evaluation->correct) << loss;
    EXPECT_NEAR(cuda.evaluation->loss, cpu.evaluation->loss, 1e-5) << loss;
  }
}

TEST_F(CudaRunTest, LearnsFromATeacherAsTheCpuDoes) {
  train_cuda(1, {"experiment.name=teacher", "device=cpu"});
  const auto learn = [&](const char* device) {
    return train_cuda(1, {"loss={teacher: {file: runs/teacher}}", "optimizer.learning_rate=0.01", device});
  };
  const Outcome cuda = learn("device=cuda"), cpu = learn("device=cpu");
  EXPECT_LE(worst_distance(cuda.by_rank[0], cpu.by_rank[0]), 1e-5);
  EXPECT_NEAR(cuda.evaluation->loss, cpu.evaluation->loss, 1e-5);
}

// Passes are captured, and the host is ahead of the device, when batches and images change.
TEST_F(CudaRunTest, StagesEqualTheCpus) {
  const std::vector<std::string> settings = {
      kAnySize, "data.train_size=64", "optimizer.learning_rate=0.01",
      "train={epochs: 4, precision: f32, eval_every_epochs: 0, stages: [{epochs: 1, size: [6, 8], global: 16, micro: "
      "8}, "
      "{epochs: 1, size: [6, 8], global: 32, micro: 8}, {epochs: 1, size: [8, 8]}]}"};
  std::vector<std::string> on_cpu = settings;
  on_cpu.emplace_back("device=cpu");
  const Outcome cuda = train_cuda(1, settings), cpu = train_cuda(1, on_cpu);
  EXPECT_LE(worst_distance(cuda.by_rank[0], cpu.by_rank[0]), 1e-5);
  EXPECT_LE(worst_distance(train_cuda(2, settings).by_rank[0], cpu.by_rank[0]), 1e-5);
}

TEST_F(CudaRunTest, ConfusionDoesNotDependOnTheNumberOfRanks) {
  const auto on = [](const char* device, const char* precision) {
    return load(kRunExperiment, {"data.classes=8", "data.test_size=29", device, precision});
  };
  expect_confused_alike(on("device=cuda", "train.precision=bf16"));
  EXPECT_EQ(confused(on("device=cuda", "train.precision=f32"), 1).images,
            confused(on("device=cpu", "train.precision=f32"), 1).images);
}

TEST_F(CudaRunTest, ResultDoesNotDependOnTheNumberOfRanks) {
  const Outcome alone = train_cuda(1);
  for (int ranks : {2, 3, 4}) {
    const Outcome several = train_cuda(ranks);
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5) << ranks;
    for (const Tensors& replica : several.by_rank) EXPECT_EQ(replica, several.by_rank[0]) << ranks;
  }
}

TEST_F(CudaRunTest, RanksMayShareADevice) {
  const Outcome alone = train_cuda(1);
  boot({.devices = 1});
  const Outcome shared = train_cuda(2, {"distributed.share_device=true"});
  EXPECT_LE(worst_distance(shared.by_rank[0], alone.by_rank[0]), 1e-5);
  EXPECT_EQ(shared.by_rank[1], shared.by_rank[0]);
}

TEST_F(CudaRunTest, MoreRanksThanDevicesAreRefused) {
  for (int devices : {1, 2}) {
    boot({.devices = devices});
    EXPECT_EQ(code_of([&] { train_cuda(3); }), ExitCode::kUnavailable);
  }
}

TEST_F(CudaRunTest, CapturedOrNotTheBitsAreTheSame) {
  EXPECT_EQ(train_cuda(2, {"train.cuda_graph=on"}).by_rank, train_cuda(2, {"train.cuda_graph=off"}).by_rank);
}

TEST_F(CudaRunTest, NoOrderOfStreamsChangesABit) {
  const Outcome usual = train_cuda(2);
  for (const FakeSchedule schedule : {FakeSchedule::kRandom, FakeSchedule::kFirstStream, FakeSchedule::kLastStream}) {
    for (const char* graph : {"train.cuda_graph=on", "train.cuda_graph=off"}) {
      boot({.schedule = schedule});
      EXPECT_EQ(train_cuda(2, {graph}).by_rank, usual.by_rank) << static_cast<int>(schedule) << " " << graph;
    }
  }
}

TEST_F(CudaRunTest, StreamsOnThreadsOfTheirOwn) {
  const Outcome usual = train_cuda(2);
  boot({.schedule = FakeSchedule::kThreads});
  EXPECT_EQ(train_cuda(2).by_rank, usual.by_rank);
}

TEST_F(CudaRunTest, ResumedRunIsBitwiseEqual) {
  const std::vector<std::string> saving = {"checkpoint.every_steps=2", "checkpoint.keep=9"};
  const Outcome whole = train_cuda(2, saving);
  for (const char* later : {"step-0000000004", "step-0000000005"}) {
    fs::remove_all(fs::path("runs/run/checkpoints") / later);
  }
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train_cuda(2, saving, false).by_rank, whole.by_rank);
}

TEST_F(CudaRunTest, EveryRuleEqualsTheCpuAndResumesBitwiseEqual) {
  for (RuleCase& it : rule_cases()) {
    SCOPED_TRACE(it.name);
    std::vector<std::string> on_cpu = it.settings;
    on_cpu.emplace_back("device=cpu");
    const Outcome cpu = train_cuda(1, on_cpu);
    it.settings.insert(it.settings.end(), {"checkpoint.every_steps=3", "checkpoint.keep=9"});
    const Outcome cuda = train_cuda(2, it.settings);
    const double distance = worst_distance(cuda.by_rank[0], cpu.by_rank[0]);
    std::printf("%s: fake CUDA, two ranks, against CPU, one: worst relative distance %.2e\n", it.name, distance);
    EXPECT_LE(distance, 1e-5);
    EXPECT_NEAR(cuda.evaluation->loss, cpu.evaluation->loss, 1e-5);
    EXPECT_EQ(cuda.by_rank[1], cuda.by_rank[0]);
    fs::remove_all("runs/run/checkpoints/step-0000000005");
    fs::remove("runs/run/status.json");
    const Outcome resumed = train_cuda(2, it.settings, false);
    EXPECT_EQ(resumed.by_rank, cuda.by_rank);
    EXPECT_EQ(resumed.evaluation->loss, cuda.evaluation->loss);
  }
}

TEST_F(CudaRunTest, TheAverageOfSixteenBitWeights) {
  const Outcome plain = train_cuda(1, {"train.precision=f16"});
  const Outcome averaged = train_cuda(1, {"train.precision=f16", "train.ema_decay=0.75", "train.eval_every_epochs=1"});
  EXPECT_EQ(averaged.by_rank, plain.by_rank);
  EXPECT_NE(averaged.evaluation->loss, plain.evaluation->loss);
}

TEST_F(CudaRunTest, SignalsSaveAndStopAndTheNextLifeGoesOn) {
  const Outcome whole = train_cuda(2);
  EXPECT_EQ(train_cuda(2, {}, true, SIGUSR1).code, ExitCode::kPreempted);
  EXPECT_TRUE(fs::exists("runs/run/checkpoints/step-0000000003"));  // the host looks two steps later
  const Outcome rest = train_cuda(2, {}, false);
  EXPECT_EQ(rest.code, ExitCode::kDone);
  EXPECT_EQ(rest.by_rank, whole.by_rank);
}

TEST_F(CudaRunTest, NonFiniteLossStopsAndSavesNothing) {
  expect_error(ExitCode::kNonFinite, {"first in 'batch_norm_1 forward' of rank 0"},
               [&] { train_cuda(2, {"optimizer.learning_rate=1e30"}); });
  EXPECT_TRUE(fs::is_empty("runs/run/checkpoints"));
}

TEST_F(CudaRunTest, RecomputedBlocksAreTheSame) {
  const Outcome plain = train_cuda(2);
  EXPECT_EQ(train_cuda(2, {"train.recompute=blocks"}).by_rank, plain.by_rank);
}

TEST_F(CudaRunTest, SixteenBitsStayNear) {
  const Outcome exact = train_cuda(1);
  for (const char* precision : {"train.precision=bf16", "train.precision=f16", "train.precision=auto"}) {
    const Outcome half = train_cuda(2, {precision});
    EXPECT_EQ(half.code, ExitCode::kDone) << precision;
    EXPECT_EQ(half.by_rank[1], half.by_rank[0]) << precision;
    EXPECT_LE(worst_distance(half.by_rank[0], exact.by_rank[0]), 0.1) << precision;
    EXPECT_NE(half.by_rank[0], exact.by_rank[0]) << precision;
  }
}

TEST_F(CudaRunTest, F16ResumesWithItsLossScale) {
  const std::vector<std::string> saving = {"checkpoint.every_steps=2", "checkpoint.keep=9", "train.precision=f16"};
  const Outcome whole = train_cuda(1, saving);
  for (const char* later : {"step-0000000004", "step-0000000005"}) {
    fs::remove_all(fs::path("runs/run/checkpoints") / later);
  }
  fs::remove("runs/run/status.json");
  EXPECT_EQ(train_cuda(1, saving, false).by_rank, whole.by_rank);
}

TEST_F(CudaRunTest, DataInTheMemoryOfTheDeviceAreTheSame) {
  std::vector<std::string> settings = {"data.augment={flip: 0.5, pad_crop: 2, erasing: 0.5}",
                                       "data.mix={mixup: 0.4, cutmix: 1, probability: 0.7}"};
  const Outcome read = train_cuda(2, settings);
  settings.emplace_back("data.cache=device");
  const Outcome gathered = train_cuda(2, settings);
  EXPECT_EQ(gathered.by_rank, read.by_rank);
  EXPECT_EQ(gathered.evaluation->correct, read.evaluation->correct);
}

TEST_F(CudaRunTest, TheDeviceAugmentsAndMixesAsTheHostDoes) {
  const std::unique_ptr<Communicator> solo = make_solo_communicator();
  Backend backend = make_backend(load(kRunExperiment, {"device=cuda"}), *solo, 1);
  expect_cached_as_read(backend);
}

TEST_F(CudaRunTest, GradientsMayTravelAsBf16) {
  const Outcome whole = train_cuda(3), rounded = train_cuda(3, {"distributed.gradients=bf16"});
  for (const Tensors& replica : rounded.by_rank) EXPECT_EQ(replica, rounded.by_rank[0]);
  EXPECT_NE(rounded.by_rank[0], whole.by_rank[0]);
  EXPECT_LE(worst_distance(rounded.by_rank[0], whole.by_rank[0]), 0.05);
}

TEST_F(CudaRunTest, WhatIsForSlowLinksIsAsOnTheCpu) {
  const std::pair<std::vector<std::string>, double> cases[] = {
      {{"distributed.average_every=2"}, 1e-5},
      {{"distributed.gradients=bf16", "distributed.error_feedback=true"}, 0.01}};  // other sums round otherwise
  for (const auto& [settings, most] : cases) {
    std::vector<std::string> on_cpu = settings;
    on_cpu.emplace_back("device=cpu");
    const Outcome cuda = train_cuda(2, settings), cpu = train_cuda(2, on_cpu);
    EXPECT_EQ(cuda.by_rank[1], cuda.by_rank[0]) << settings[0];
    EXPECT_LE(worst_distance(cuda.by_rank[0], cpu.by_rank[0]), most) << settings[0];
  }
}

TEST_F(CudaRunTest, AShardedOptimizerIsTheSame) {
  for (const char* precision : {"train.precision=f32", "train.precision=bf16", "train.precision=f16"}) {
    std::vector<std::string> settings = {precision, "optimizer.type=adam", "optimizer.momentum=null",
                                         "optimizer.learning_rate=0.01"};
    const Outcome whole = train_cuda(3, settings);
    settings.emplace_back("optimizer.sharded=true");
    EXPECT_EQ(train_cuda(3, settings).by_rank, whole.by_rank) << precision;
  }
}

TEST_F(CudaRunTest, WithoutADriverItSaysSo) {
  boot({.driver = false});
  EXPECT_EQ(code_of([&] { train_cuda(1); }), ExitCode::kUnavailable);
  EXPECT_EQ(train_cuda(2, {"device=auto"}).code, ExitCode::kDone);  // on the CPU
}

}  // namespace
}  // namespace convoy
