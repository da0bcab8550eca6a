// Whole runs on one GPU: several ranks that share it, capture, resume, and data in its memory.
#include <filesystem>

#include "tests/gpu/gpu_test.h"
#include "tests/launcher/cache_checks.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class GpuRunTest : public GpuTest {};

TEST_F(GpuRunTest, EqualsTheCpu) {
  const Outcome gpu = train_cuda(1), cpu = train_cuda(1, {"device=cpu"});
  const double apart = worst_distance(gpu.by_rank[0], cpu.by_rank[0]);
  figure("weights_apart", apart);
  EXPECT_LE(apart, 1e-4);
  EXPECT_NEAR(gpu.evaluation->loss, cpu.evaluation->loss, 1e-4);
}

TEST_F(GpuRunTest, TwoRanksShareTheGpu) {
  const Outcome alone = train_cuda(1), shared = train_cuda(2, {"distributed.share_device=true"});
  const double apart = worst_distance(shared.by_rank[0], alone.by_rank[0]);
  figure("weights_apart", apart);
  EXPECT_LE(apart, 1e-4);
  EXPECT_EQ(shared.by_rank[1], shared.by_rank[0]);
}

// Error feedback, and copies that are averaged, one of them in the middle of the run.
TEST_F(GpuRunTest, WhatIsForSlowLinksIsAsOnTheCpu) {
  const std::pair<std::vector<std::string>, double> cases[] = {
      {{"distributed.average_every=2"}, 1e-4},
      {{"distributed.gradients=bf16", "distributed.error_feedback=true"}, 0.01}};  // other sums round otherwise
  for (const auto& [settings, most] : cases) {
    std::vector<std::string> on_gpu = settings, on_cpu = settings;
    on_gpu.emplace_back("distributed.share_device=true");
    on_cpu.emplace_back("device=cpu");
    const Outcome shared = train_cuda(2, on_gpu), cpu = train_cuda(2, on_cpu);
    const double apart = worst_distance(shared.by_rank[0], cpu.by_rank[0]);
    figure("weights_apart", apart);
    EXPECT_LE(apart, most) << settings[0];
    EXPECT_EQ(shared.by_rank[1], shared.by_rank[0]) << settings[0];
  }
}

TEST_F(GpuRunTest, SaysWhatItWaitsFor) {
  for (const char* captures : {"train.cuda_graph=on", "train.cuda_graph=off"}) {
    expect_communication_is_logged([&](std::vector<std::string> settings) {
      settings.insert(settings.end(), {captures, "distributed.share_device=true"});
      train_cuda(2, settings);
    });
  }
}

TEST_F(GpuRunTest, BatchNormOverRanksIsThatOfAllTheirRows) {
  const Outcome alone = train_cuda(1, {"batch.micro=32"});
  const Outcome shared = train_cuda(2, {"batch.micro=16", "train.sync_bn=true", "distributed.share_device=true"});
  const double apart = worst_distance(shared.by_rank[0], alone.by_rank[0]);
  figure("weights_apart", apart);
  EXPECT_LE(apart, 1e-4);
  EXPECT_EQ(shared.by_rank[1], shared.by_rank[0]);
}

TEST_F(GpuRunTest, CapturedOrNotTheBitsAreTheSame) {
  for (const char* precision : {"train.precision=f32", "train.precision=bf16"}) {
    const std::string steps = small() ? "train.steps=5" : "train.steps=20";
    const Outcome on = train_cuda(1, {precision, steps, "train.cuda_graph=on"});
    EXPECT_EQ(train_cuda(1, {precision, steps, "train.cuda_graph=off"}).by_rank, on.by_rank) << precision;
  }
}

TEST_F(GpuRunTest, RecomputedBlocksAreTheSame) {
  for (const char* precision : {"train.precision=f32", "train.precision=bf16"}) {
    const Outcome plain = train_cuda(1, {precision});
    EXPECT_EQ(train_cuda(1, {precision, "train.recompute=blocks"}).by_rank, plain.by_rank) << precision;
  }
}

TEST_F(GpuRunTest, SixteenBitsStayNear) {
  const Outcome exact = train_cuda(1);
  for (const char* precision : {"bf16", "f16"}) {
    const Outcome half = train_cuda(1, {std::string("train.precision=") + precision});
    const double apart = worst_distance(half.by_rank[0], exact.by_rank[0]);
    figure((std::string(precision) + "_apart").c_str(), apart);
    EXPECT_LE(apart, 0.1);
    EXPECT_NE(half.by_rank[0], exact.by_rank[0]);
  }
}

TEST_F(GpuRunTest, ResumedRunIsBitwiseEqual) {
  for (const char* precision : {"train.precision=f32", "train.precision=f16"}) {
    const std::vector<std::string> saving = {"checkpoint.every_steps=2", "checkpoint.keep=9", precision};
    const Outcome whole = train_cuda(1, saving);
    for (const char* later : {"step-0000000004", "step-0000000005"}) {
      fs::remove_all(fs::path("runs/run/checkpoints") / later);
    }
    fs::remove("runs/run/status.json");
    EXPECT_EQ(train_cuda(1, saving, false).by_rank, whole.by_rank) << precision;
  }
}

TEST_F(GpuRunTest, DataInTheMemoryOfTheGpuAreTheSame) {
  const Outcome read = train_cuda(1), gathered = train_cuda(1, {"data.cache=device"});
  EXPECT_EQ(gathered.by_rank, read.by_rank);
  EXPECT_EQ(gathered.evaluation->correct, read.evaluation->correct);
}

TEST_F(GpuRunTest, AugmentsAndMixesAsTheHostDoes) {
  const std::unique_ptr<Communicator> solo = make_solo_communicator();
  Backend backend = make_backend(load(kRunExperiment, {"device=cuda"}), *solo, 1);
  expect_cached_as_read(backend);
}

}  // namespace
}  // namespace convoy
