// The first ten losses of a tiny network equal PyTorch's: layers, backward pass, memory plan and optimizer together.
// tests/oracles/pytorch_mnist_losses.py is the same network and prints the losses.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "core/device/target.h"
#include "core/graph/program.h"
#include "core/train/optimizer.h"
#include "layers/conv2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/normalize.h"
#include "layers/pool.h"
#include "layers/registry.h"
#include "layers/relu.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

constexpr int kRows = 16, kSide = 8, kChannels = 2;
constexpr Shape kImage{kRows, kSide, kSide, kChannels};

Graph tiny_network() {
  Graph graph;
  ValueId value = graph.input("image", kImage, Dtype::kU8);
  const ValueId target = graph.input("target", targets_shape(kRows), Dtype::kI32);
  const auto add = [&](const char* name, std::unique_ptr<Layer> layer) {
    value = graph.add(name, std::move(layer), {value});
  };
  add("normalize", std::make_unique<Normalize>(std::vector<float>{0.5F}, std::vector<float>{0.25F}));
  add("conv",
      std::make_unique<Conv2d>(Conv2dOptions{.filters = 8, .window = {.kernel_h = 3, .kernel_w = 3, .padding = {}}}));
  add("relu", std::make_unique<Relu>());
  add("pool",
      std::make_unique<MaxPool>(Window{.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2, .padding = {}}));
  add("flatten", std::make_unique<Flatten>());
  add("fc", std::make_unique<Linear>(LinearOptions{.units = 5}));
  graph.add("loss", std::make_unique<SoftmaxCrossEntropy>(), {value, target});
  return graph;
}

// The formulas of the script.
void fill_batch(uint8_t* pixels, Target* targets) {
  for (int n = 0; n < kRows; ++n) {
    targets[n] = Target::of((n * n + 3 * n) % 5);
    for (int h = 0; h < kSide; ++h)
      for (int w = 0; w < kSide; ++w)
        for (int c = 0; c < kChannels; ++c)
          *pixels++ = static_cast<uint8_t>(37 * n + 11 * h + 7 * w + 90 * c + 3 * n * h * w);
  }
}

void fill_weights(const Parameters& parameters) {
  for (const ParameterSlot& slot : parameters.slots()) {
    float* weights = parameters.value(slot).as<float>();
    for (int64_t i = 0; i < slot.elements(); ++i) {
      const auto hash = static_cast<uint32_t>((static_cast<uint64_t>(i) + 1000 * slot.name.size()) * 2654435761U);
      weights[i] = static_cast<float>((static_cast<double>(hash) / 4294967296.0 - 0.5) / 2);
    }
  }
}

std::vector<double> losses(Dtype compute, int threads) {
  const std::unique_ptr<Device> device = make_cpu_device(threads);
  Allocator& allocator = device->allocator();
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
  const Graph graph = tiny_network();
  Parameters parameters(graph, allocator, allocator);
  Program program(graph, parameters, *make_cpu_kernels(), {.compute = compute});
  const Buffer pixels(allocator, kImage.elements()), targets(allocator, kRows * int64_t{sizeof(Target)});
  const Buffer arena(allocator, program.memory().arena_bytes);
  const StepScalars scalars{.learning_rate = 0.05F, .one_over_global_rows = 1.0F / kRows, .valid_rows = kRows};
  fill_batch(pixels.as<uint8_t>(), targets.as<Target>());
  fill_weights(parameters);
  *parameters.loss_scale() = {};
  program.bind(arena.data(), parameters,
               {{"image", {pixels.data(), {kImage, Dtype::kU8}}},
                {"target", {targets.data(), {targets_shape(kRows), Dtype::kI32}}}},
               &scalars, device->compute());
  const auto optimizer = make_sgd(*ops, allocator, parameters, update_ranges(parameters, 0.01F, {}), {0.9F});
  const Plan plan = program.plan();
  std::vector<double> result;
  for (int step = 0; step < 10; ++step) {
    std::fill_n(parameters.control(), kControlSize, 0.0F);
    EXPECT_EQ(plan.run_checked(*device), "");
    optimizer->step(parameters, &scalars, device->compute());
    result.push_back(parameters.control()[kLossSum] / kRows);
  }
  return result;
}

constexpr double kPytorchLosses[] = {1.85082471, 1.40871298, 1.03526032, 0.83866388, 0.70595574,
                                     0.59845757, 0.47170827, 0.34359095, 0.28369400, 0.25673667};

void expect_losses(const std::vector<double>& found, double relative) {
  ASSERT_EQ(found.size(), 10u);
  for (size_t i = 0; i < 10; ++i)
    EXPECT_NEAR(found[i], kPytorchLosses[i], relative * kPytorchLosses[i]) << "step " << i;
}

TEST(Trajectory, EqualsPytorchInF32) { expect_losses(losses(Dtype::kF32, 1), 2e-6); }
TEST(Trajectory, EqualsPytorchWithTwoThreads) { expect_losses(losses(Dtype::kF32, 2), 2e-6); }
TEST(Trajectory, StaysNearInBf16) {
  try {
    expect_losses(losses(Dtype::kBF16, 1), 0.03);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUnavailable) throw;
    GTEST_SKIP() << error.what();
  }
}

}  // namespace
}  // namespace convoy
