// Training steps of whole networks: against the CPU, replayed many times, and with gradients that overflow.
#include <chrono>
#include <cmath>

#include "core/device/cuda_factory.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/stepper.h"

namespace convoy {
namespace {

using Values = std::vector<std::vector<float>>;

class GpuNetworkTest : public GpuTest {
 protected:
  // ResNet-18 on made-up images; on the fake, ResNet-20 on small ones.
  Experiment resnet(const std::vector<std::string>& overrides) {
    const char* given = std::getenv("CONVOY_CONFIGS");
    const std::string configs = given != nullptr ? given : CONVOY_SOURCE_DIR "/configs";
    std::vector<std::string> all = {"data.shape=[64,64,3]", "batch={global: 32, micro: 32}"};
    if (small()) {
      all = {"model={config: " + configs + "/models/cifar-resnet20.yaml}", "data.shape=[12,12,3]",
             "batch={global: 4, micro: 4}"};
    }
    all.push_back("optimizer.learning_rate=0.01");
    all.insert(all.end(), overrides.begin(), overrides.end());
    return load_experiment(configs + "/resnet18-synthetic.yaml", all);
  }

  int64_t memory_in_use() const {
    return library_.function<decltype(convoy_cuda_memory_in_use)>("convoy_cuda_memory_in_use")();
  }
};

// ||a - b|| / ||b - c|| over all parameters.
double distance(const Values& a, const Values& b, const Values& c) {
  double apart = 0, length = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    for (size_t k = 0; k < b[i].size(); ++k) {
      apart += std::pow(double{a[i][k]} - double{b[i][k]}, 2);
      length += std::pow(double{b[i][k]} - double{c[i][k]}, 2);
    }
  }
  return std::sqrt(apart / length);
}

Values zeros_like(Values values) {
  for (std::vector<float>& tensor : values) std::ranges::fill(tensor, 0.0F);
  return values;
}

// Only the order of sums differs.  Three steps at this rate multiply a difference by some ten.
TEST_F(GpuNetworkTest, ResNet18EqualsTheCpu) {
  Stepper gpu(resnet({"device=cuda", "train.precision=f32"})), cpu(resnet({"device=cpu", "train.precision=f32"}));
  const Values start = cpu.values();
  EXPECT_EQ(gpu.values(), start);
  for (int step = 1; step <= 3; ++step) {
    const double gpu_loss = gpu.step(), cpu_loss = cpu.step();
    const Values gradients = cpu.gradients();
    const double of_gradients = distance(gpu.gradients(), gradients, zeros_like(gradients));
    const double of_updates = distance(gpu.values(), cpu.values(), start);
    std::printf("step %d: loss %.6f, on the CPU %.6f; distance of gradients %.1e, of updates %.1e\n", step, gpu_loss,
                cpu_loss, of_gradients, of_updates);
    EXPECT_NEAR(gpu_loss, cpu_loss, (step == 1 ? 1e-5 : 1e-3) * cpu_loss);
    EXPECT_LE(of_gradients, step == 1 ? 1e-3 : 2e-2);
    EXPECT_LE(of_updates, step == 1 ? 1e-3 : 1e-2);
    if (step == 1) figure("gradients_apart_1", of_gradients);
    if (step == 3) figure("updates_apart_3", of_updates);
  }
}

TEST_F(GpuNetworkTest, AThousandReplaysTakeNoMemory) {
  const std::vector<std::string> on = {"device=cuda", "train.cuda_graph=on"};
  Stepper stepper(small() ? load(kRunExperiment, {"device=cuda", "batch={global: 8, micro: 8}"}) : resnet(on));
  for (int i = 0; i < 3; ++i) stepper.step();  // one by one, captured, replayed
  const int64_t before = memory_in_use();
  const int replays = small() ? 20 : 1000;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < replays; ++i) stepper.give_step();
  const double loss = stepper.step();
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(memory_in_use(), before);
  EXPECT_TRUE(std::isfinite(loss));
  figure("bytes_in_use", static_cast<double>(before));
  figure("ms_per_replay", elapsed.count() / (replays + 1));
  figure("loss", loss);
}

TEST_F(GpuNetworkTest, AnOverflowSkipsTheStepAndHalvesTheScale) {
  const Experiment experiment =
      load(kRunExperiment, {"device=cuda", "train.precision=f16", "batch={global: 8, micro: 8}"});
  constexpr float kTooLarge = 0x1.0p24F;  // the gradient of the loss is this over the number of rows
  Stepper stepper(experiment, {}, {.initial = kTooLarge});
  const Values start = stepper.values();
  float scale = kTooLarge;
  EXPECT_EQ(stepper.loss_scale(), scale);
  stepper.step();
  EXPECT_TRUE(stepper.skipped());
  while (stepper.skipped() && scale > 1) {
    scale /= 2;
    EXPECT_EQ(stepper.loss_scale(), scale);
    EXPECT_EQ(stepper.values(), start);
    stepper.step();
  }
  EXPECT_FALSE(stepper.skipped());
  EXPECT_NE(stepper.values(), start);
  const double first = stepper.step();
  for (int i = 0; i < 10; ++i) stepper.step();
  EXPECT_LT(stepper.step(), first);
  figure("scale_that_holds", scale);
}

}  // namespace
}  // namespace convoy
