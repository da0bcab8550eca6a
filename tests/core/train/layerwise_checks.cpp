#include "tests/core/train/layerwise_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <random>

#include "core/train/optimizer.h"
#include "core/train/weight_average.h"
#include "tests/core/device/testing.h"
#include "tests/core/train/layerwise_trajectories.h"

namespace convoy {
namespace {

using Floats = std::vector<float>;

// One parameter, [rows, 1, 1, columns], and a statistic if asked for; never run.
class Holder : public Layer {
 public:
  Holder(int rows, int columns, bool state) : shape_{rows, 1, 1, columns}, state_(state) {}
  std::string type() const override { return "holder"; }
  Shape shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  std::vector<ParameterSpec> parameters(std::span<const Shape>) const override { return {{"weight", shape_, {}}}; }
  std::vector<StateSpec> state(std::span<const Shape>) const override {
    if (!state_) return {};
    return {{"running_mean", {1, 1, 1, 3}, 1, 0.25F}};
  }

 private:
  Shape shape_;
  bool state_;
};

class LayerwiseTest : public testing::Test {
 protected:
  void add(const std::string& name, int rows, int columns, bool state = false) {
    last_ = graph_.add(name, std::make_unique<Holder>(rows, columns, state), {last_});
  }
  Parameters make() {
    Allocator& allocator = device_.allocator();
    Parameters parameters(graph_, allocator, allocator);
    parameters.initialize(1, 1, device_);
    return parameters;
  }
  Floats read(const float* from, int64_t elements) {
    Floats values(static_cast<size_t>(elements));
    device_.copy(values.data(), from, elements * size_of(Dtype::kF32), device_.compute());
    device_.compute().synchronize();
    return values;
  }
  void write(float* to, const Floats& values) {
    device_.copy(to, values.data(), static_cast<int64_t>(values.size() * sizeof(float)), device_.compute());
    device_.compute().synchronize();
  }

  const LayerwiseUnderTest under_test_ = layerwise_under_test();
  Device& device_ = *under_test_.device;
  FlatOps& ops_ = *under_test_.ops;
  Graph graph_;
  ValueId last_ = graph_.input("image", {}, Dtype::kF32);
};

// ---- Ten steps in f64: the tensors, gradients and rates of tests/oracles/layerwise_optimizers.py

struct Case {
  const char* name;
  int rows, columns;
};
constexpr Case kTensors[] = {{"wide", 3, 4}, {"bias", 1, 3},  {"tall", 5, 3},
                             {"zero", 2, 3}, {"still", 2, 2}, {"norm", 1, 2}};
constexpr float kLossScale = 1024;

float start(const Case& it, int64_t i) {
  return std::string(it.name) == "zero" ? 0 : static_cast<float>((i * i * 13 + 7 * i + 3) % 29 - 14) / 16;
}

float gradient(const Case& it, int64_t i, float weight, int step) {
  if (std::string(it.name) == "still") return 0;
  return weight / 4 + static_cast<float>((i * i * 7 + 3 * i + 5 * step) % 23 - 11) / 16;
}

using Make = std::function<std::unique_ptr<Optimizer>(const Parameters&, std::vector<UpdateRange>)>;

class TenStepsTest : public LayerwiseTest {
 protected:
  void expect(const double (&lasts)[10][6], const double (&all)[1][42], float decay, const Make& make_optimizer) {
    for (const Case& it : kTensors) add(it.name, it.rows, it.columns);
    Parameters parameters = make();
    write(&parameters.loss_scale()->scale, {kLossScale});
    const std::vector<UpdateRange> ranges =
        update_ranges(parameters, decay, {{"tall.*", 0.5F, {}}}, false, [](const auto& it) { return !is_vector(it); });
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(parameters, ranges);
    const int64_t elements = parameters.trainable_elements();
    Floats values(static_cast<size_t>(elements)), gradients(values.size());
    for_each_element(parameters, [&](size_t at, const Case& it, int64_t i) { values[at] = start(it, i); });
    write(parameters.values(), values);
    double worst = 0;
    for (int step = 0; step < 10; ++step) {
      for_each_element(parameters, [&](size_t at, const Case& it, int64_t i) {
        gradients[at] = kLossScale * gradient(it, i, values[at], step);
      });
      write(parameters.gradients(), gradients);
      const OnDevice<StepScalars> scalars(device_,
                                          {{.learning_rate = 0.25F / static_cast<float>(1 + step), .step = step}});
      optimizer->step(parameters, scalars.data(), device_.compute());
      values = read(parameters.values(), elements);
      worst = std::max(worst, distance_of_lasts(parameters, values, lasts[step]));
    }
    worst = std::max(worst, distance(parameters, values, all[0]));
    std::printf("ten steps against f64: worst relative distance %.2g\n", worst);
    EXPECT_LE(worst, 1e-6);
    expect_zero_gaps(parameters, values);
  }

 private:
  static void for_each_element(const Parameters& parameters,
                               const std::function<void(size_t at, const Case& it, int64_t i)>& body) {
    for (size_t t = 0; t < std::size(kTensors); ++t) {
      const ParameterSlot& slot = parameters.slots()[t];
      for (int64_t i = 0; i < slot.elements(); ++i) body(static_cast<size_t>(slot.offset + i), kTensors[t], i);
    }
  }
  // Relative to the largest element of the tensor.
  static double distance(const Parameters& parameters, const Floats& values, const double* wanted) {
    double worst = 0;
    for (const ParameterSlot& slot : parameters.slots()) {
      double most = 0, difference = 0;
      for (int64_t i = 0; i < slot.elements(); ++i, ++wanted) {
        most = std::max(most, std::abs(*wanted));
        difference = std::max(difference, std::abs(values[static_cast<size_t>(slot.offset + i)] - *wanted));
      }
      worst = std::max(worst, difference / most);
    }
    return worst;
  }
  static double distance_of_lasts(const Parameters& parameters, const Floats& values, const double* wanted) {
    double worst = 0;
    for (const ParameterSlot& slot : parameters.slots()) {
      double most = 0;
      for (int64_t i = 0; i < slot.elements(); ++i) {
        most = std::max(most, double{std::abs(values[static_cast<size_t>(slot.offset + i)])});
      }
      const auto last = static_cast<size_t>(slot.offset + slot.elements() - 1);
      worst = std::max(worst, std::abs(values[last] - *wanted++) / most);
    }
    return worst;
  }
  static void expect_zero_gaps(const Parameters& parameters, Floats values) {
    for_each_element(parameters, [&](size_t at, const Case&, int64_t) { values[at] = 0; });
    EXPECT_EQ(values, Floats(values.size()));
  }
};

TEST_F(TenStepsTest, Lars) {
  expect(kLarsLasts, kLarsAll, 0.05F, [&](const Parameters& parameters, std::vector<UpdateRange> ranges) {
    return make_lars(ops_, device_.allocator(), parameters, std::move(ranges), {0.9F, 0.02F, 1e-8F});
  });
}

TEST_F(TenStepsTest, Lamb) {
  expect(kLambLasts, kLambAll, 0.05F, [&](const Parameters& parameters, std::vector<UpdateRange> ranges) {
    return make_lamb(ops_, device_.allocator(), parameters, std::move(ranges), {.epsilon = 1e-6F});
  });
}

TEST_F(TenStepsTest, Muon) {
  expect(kMuonLasts, kMuonAll, 0, [&](const Parameters& parameters, std::vector<UpdateRange> ranges) {
    return make_muon(ops_, *under_test_.products, device_.allocator(), parameters, std::move(ranges),
                     {{0.6F, true}, 3, true});
  });
}

TEST_F(TenStepsTest, MuonWithDecayAndWeightsAsTheyAre) {
  expect(kMuonWithDecayLasts, kMuonWithDecayAll, 0.05F,
         [&](const Parameters& parameters, std::vector<UpdateRange> ranges) {
           return make_muon(ops_, *under_test_.products, device_.allocator(), parameters, std::move(ranges),
                            {{0.9F, false}, 4, false});
         });
}

// ---- What a filter's update is

// Singular values come near 1 after a few iterations, however far apart they were.
TEST_F(LayerwiseTest, MuonsUpdateIsNearlyOrthogonal) {
  for (const auto& [rows, columns] : {std::pair{6, 40}, std::pair{40, 6}, std::pair{16, 16}}) {
    graph_ = Graph();
    last_ = graph_.input("image", {}, Dtype::kF32);
    add("filter", rows, columns);
    Parameters parameters = make();
    const auto optimizer =
        make_muon(ops_, *under_test_.products, device_.allocator(), parameters,
                  update_ranges(parameters, 0, {}, false, [](const auto&) { return true; }), {{}, 10, false});
    EXPECT_GT(optimizer->scratch_bytes(), 2 * rows * columns * size_of(Dtype::kF32));
    std::mt19937 random(1);
    Floats gradients(static_cast<size_t>(rows * columns));
    for (float& g : gradients) g = static_cast<float>(random() % 1000) / 500 - 1;
    write(parameters.gradients(), gradients);
    const OnDevice<StepScalars> scalars(device_, {{.learning_rate = 1}});
    optimizer->step(parameters, scalars.data(), device_.compute());
    const Floats x = read(parameters.values(), int64_t{rows} * columns);  // minus the update: they began as zeros
    double squares = 0, along = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      squares += double{x[i]} * x[i];
      along += double{x[i]} * gradients[i];
    }
    const double side = std::min(rows, columns);
    EXPECT_GT(squares / side, 0.46) << rows << "x" << columns;  // of singular values between 0.68 and 1.13
    EXPECT_LT(squares / side, 1.28) << rows << "x" << columns;
    EXPECT_LT(along, 0);
  }
}

TEST_F(LayerwiseTest, ANonFiniteGradientChangesNothing) {
  add("filter", 3, 5);
  add("vector", 1, 4);
  Parameters parameters = make();
  const auto ranges = update_ranges(parameters, 0.1F, {}, false, [](const auto& it) { return !is_vector(it); });
  Allocator& allocator = device_.allocator();
  const Floats before(static_cast<size_t>(parameters.trainable_elements()), 0.5F);
  Floats gradients(before.size(), 1.0F);
  gradients[7] = std::numeric_limits<float>::quiet_NaN();
  const OnDevice<StepScalars> scalars(device_, {{.learning_rate = 1}});
  const std::unique_ptr<Optimizer> optimizers[] = {
      make_lars(ops_, allocator, parameters, ranges, {0.9F}), make_lamb(ops_, allocator, parameters, ranges, {}),
      make_muon(ops_, *under_test_.products, allocator, parameters, ranges, {{0.9F, true}})};
  WeightAverage average(ops_, allocator, parameters, 0.5);
  write(parameters.values(), before);
  write(parameters.gradients(), gradients);
  for (const auto& optimizer : optimizers) {
    optimizer->step(parameters, scalars.data(), device_.compute());
    average.step(parameters, scalars.data(), device_.compute());
    EXPECT_EQ(read(parameters.values(), parameters.trainable_elements()), before);
    for (const Optimizer::State& state : optimizer->state()) {
      EXPECT_EQ(read(state.data, parameters.trainable_elements()), Floats(before.size())) << state.name;
    }
    EXPECT_EQ(read(average.values(), average.value_elements()), Floats(before.size()));
  }
}

TEST_F(LayerwiseTest, StateIsWhatACheckpointMustHold) {
  add("filter", 2, 3);
  const Parameters parameters = make();
  Allocator& allocator = device_.allocator();
  const auto names = [](const std::unique_ptr<Optimizer>& optimizer) {
    std::vector<std::string> result;
    for (const Optimizer::State& state : optimizer->state()) result.push_back(state.name);
    return result;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(make_lars(ops_, allocator, parameters, {}, {})), Names{"velocity"});
  EXPECT_EQ(names(make_lamb(ops_, allocator, parameters, {}, {})), (Names{"mean", "variance"}));
  const MatrixProducts& products = *under_test_.products;
  EXPECT_EQ(names(make_muon(ops_, products, allocator, parameters, {}, {{0.9F}})), Names{"momentum"});
  EXPECT_EQ(names(make_muon(ops_, products, allocator, parameters, {}, {})), Names{});
}

// ---- The average

TEST_F(LayerwiseTest, TheAverageMovesTowardsWeightsAndStatisticsInStepsThatCount) {
  add("a", 1, 2, true);
  add("frozen", 1, 2);
  graph_.freeze(1);
  Parameters parameters = make();
  const auto set = [&](float value) {
    write(parameters.values(), {value, value});
    write(parameters.state(), {value, value, value});
  };
  set(1);
  WeightAverage average(ops_, device_.allocator(), parameters, 0.75);
  average.start(parameters, device_.compute());
  size_t counted = 0;
  for (int step = 1; step <= 10; ++step) {
    const bool skipped = step == 4 || step == 7;
    write(parameters.control(), Floats(kControlSize));
    if (skipped) write(parameters.control() + (step == 4 ? kOverflow : kNonFinite), {1});
    const auto s = static_cast<float>(step);
    set(s * s / 8 - s);
    average.step(parameters, nullptr, device_.compute());
    if (skipped) continue;
    const double wanted = kAverages[0][counted++];
    for (const float found : read(average.values(), 2)) EXPECT_NEAR(found, wanted, 1e-6) << step;
    for (const float found : read(average.state(), 3)) EXPECT_NEAR(found, wanted, 1e-6) << step;
  }
  EXPECT_EQ(counted, std::size(kAverages[0]));
  EXPECT_EQ(average.value_elements(), parameters.trainable_elements());

  const Floats values = read(parameters.values(), parameters.value_elements()), averaged = read(average.values(), 2);
  average.swap(parameters, device_.compute());
  EXPECT_EQ(read(parameters.values(), 2), averaged);
  EXPECT_EQ(read(parameters.state(), 1), read(parameters.values(), 1));
  average.swap(parameters, device_.compute());
  EXPECT_EQ(read(parameters.values(), parameters.value_elements()), values);
}

// ---- Products

TEST_F(LayerwiseTest, ProductsOfEveryShape) {
  std::mt19937 random(7);
  const auto draw = [&](int elements) {
    Floats values(static_cast<size_t>(elements));
    for (float& value : values) value = static_cast<float>(random() % 2001) / 1000 - 1;
    return values;
  };
  for (const auto& [rows, inner, columns] :
       {std::array{1, 1, 1}, std::array{3, 17, 5}, std::array{16, 9, 33}, std::array{64, 100, 64}}) {
    for (const auto& [turn_a, turn_b] : {std::pair{false, false}, std::pair{true, false}, std::pair{false, true}}) {
      const Floats a = draw(rows * inner), b = draw(inner * columns);
      const auto product = under_test_.products->make({rows, inner, columns, turn_a, turn_b});
      const OnDevice<float> on_a(device_, a), on_b(device_, b), c(device_, Floats(static_cast<size_t>(rows * columns)));
      const Buffer workspace(device_.allocator(), product->workspace_bytes());
      product->run(on_a.data(), on_b.data(), c.data(), workspace.data(), device_.compute());
      const Floats found = c.read();
      for (int i = 0; i < rows; ++i) {
        for (int k = 0; k < columns; ++k) {
          double wanted = 0;
          for (int j = 0; j < inner; ++j) {
            wanted += double{a[static_cast<size_t>(turn_a ? j * rows + i : i * inner + j)]} *
                      b[static_cast<size_t>(turn_b ? k * inner + j : j * columns + k)];
          }
          ASSERT_NEAR(found[static_cast<size_t>(i * columns + k)], wanted, 1e-5) << rows << inner << columns << turn_a;
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy
