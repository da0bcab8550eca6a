#include "core/graph/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/device/device.h"

namespace convoy {
namespace {

// Two parameters and, if asked, a running mean; only shapes matter here.
class Dense : public Layer {
 public:
  explicit Dense(int outputs, Initializer initializer = {}, bool state = false, float momentum = 0.2F)
      : outputs_(outputs), initializer_(initializer), state_(state), momentum_(momentum) {}
  std::string type() const override { return "dense"; }
  Shape shape(std::span<const Shape> inputs) const override { return {inputs[0].n, 1, 1, outputs_}; }
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override {
    return {{"weight", {outputs_, 1, 1, inputs[0].c}, initializer_},
            {"bias", {1, 1, 1, outputs_}, {Initializer::Kind::kConstant, 0.5F}}};
  }
  std::vector<StateSpec> state(std::span<const Shape>) const override {
    if (!state_) return {};
    return {{"running_mean", {1, 1, 1, outputs_}, 3, momentum_}};
  }

 private:
  int outputs_;
  Initializer initializer_;
  bool state_;
  float momentum_;
};

class ParametersTest : public testing::Test {
 protected:
  void add(const std::string& name, int outputs, Initializer initializer = {}, bool state = false,
           float momentum = 0.2F) {
    last_ = graph_.add(name, std::make_unique<Dense>(outputs, initializer, state, momentum), {last_});
  }
  Parameters make() { return {graph_, device_->allocator(), device_->allocator()}; }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
  Graph graph_;
  ValueId last_ = graph_.input("image", {2, 1, 1, 10}, Dtype::kF32);
};

TEST_F(ParametersTest, TrainableFirstThenFrozenEachAlignedInGraphOrder) {
  add("a", 13);  // weight 130 elements → 256, bias 13 → 128
  add("b", 2);
  add("c", 1);
  graph_.freeze(1);
  const Parameters parameters = make();
  std::vector<std::string> names;
  std::vector<int64_t> offsets;
  for (const ParameterSlot& slot : parameters.slots()) {
    names.push_back(slot.name);
    offsets.push_back(slot.offset);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"}));
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 256, 640, 768, 384, 512}));
  EXPECT_EQ(parameters.trainable_elements(), 640);
  EXPECT_EQ(parameters.value_elements(), 896);
  EXPECT_EQ(parameters.parameter_count(), 130 + 13 + 26 + 2 + 2 + 1);
  EXPECT_EQ(parameters.first_slot("c"), 4);
  EXPECT_FALSE(parameters.gradient(parameters.slots()[2]));
  EXPECT_EQ(parameters.gradient(parameters.slots()[4]).data, parameters.gradients() + 384);
  EXPECT_EQ(parameters.value(parameters.slots()[2]).data, parameters.values() + 640);
}

TEST_F(ParametersTest, StatisticsAndControlLieBehindTheGradients) {
  add("a", 13, {}, true);
  add("b", 200, {}, true);
  const Parameters parameters = make();
  ASSERT_EQ(parameters.state_slots().size(), 2u);
  EXPECT_EQ(parameters.state_slots()[1].name, "b.running_mean");
  EXPECT_EQ(parameters.state_slots()[1].offset, 128);
  EXPECT_EQ(parameters.state_elements(), 128 + 256);
  EXPECT_EQ(parameters.first_state_slot("b"), 1);
  EXPECT_EQ(parameters.batch_state(), parameters.gradients() + parameters.trainable_elements());
  EXPECT_EQ(parameters.control(), parameters.batch_state() + 384);
  EXPECT_EQ(parameters.reduced_elements(), parameters.trainable_elements() + 384 + kControlSize);
  EXPECT_EQ(parameters.batch_state(parameters.state_slots()[1]).data, parameters.batch_state() + 128);
}

TEST_F(ParametersTest, StatisticsThatStandStillComeLastAndTravelNowhere) {
  add("a", 13, {}, true, 0);
  add("b", 200, {}, true);
  const Parameters parameters = make();
  EXPECT_EQ(parameters.state_slots()[0].offset, 256);
  EXPECT_EQ(parameters.state_slots()[1].offset, 0);
  EXPECT_EQ(parameters.state_elements(), 128 + 256);
  EXPECT_FALSE(parameters.batch_state(parameters.state_slots()[0]));
  EXPECT_EQ(parameters.batch_state(parameters.state_slots()[1]).data, parameters.batch_state());
  EXPECT_EQ(parameters.control(), parameters.batch_state() + 256);
  EXPECT_EQ(parameters.reduced_elements(), parameters.trainable_elements() + 256 + kControlSize);
}

TEST_F(ParametersTest, AWeightMayStartAtZero) {
  add("a", 20, {Initializer::Kind::kNormal, 1});
  add("b", 20, {Initializer::Kind::kNormal, 1});
  graph_.start_weight_at_zero(1);
  Parameters parameters = make();
  parameters.initialize(1, 1, *device_);
  const auto value = [&](int slot) {
    return parameters.values()[parameters.slots()[static_cast<size_t>(slot)].offset];
  };
  EXPECT_NE(value(0), 0);
  EXPECT_EQ(value(2), 0);
  EXPECT_EQ(value(3), 0.5F);  // its bias
}

TEST_F(ParametersTest, InitialValuesAndGaps) {
  add("uniform", 300, {Initializer::Kind::kUniform, 0.25F}, true);
  add("normal", 100, {Initializer::Kind::kNormal, 2});
  Parameters parameters = make();
  parameters.initialize(1, 1, *device_);
  const ParameterSlot& uniform = parameters.slots()[0];
  const float* values = parameters.values();
  const auto [least, most] = std::minmax_element(values, values + uniform.elements());
  EXPECT_GE(*least, -0.25F);
  EXPECT_LT(*least, -0.24F);
  EXPECT_LE(*most, 0.25F);
  EXPECT_GT(*most, 0.24F);
  EXPECT_EQ(values[parameters.slots()[1].offset], 0.5F);
  EXPECT_EQ(values[parameters.slots()[1].offset + 300], 0);  // the gap behind 300 biases
  const ParameterSlot& normal = parameters.slots()[2];
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < normal.elements(); ++i) {
    const double value = values[normal.offset + i];
    sum += value;
    squares += value * value;
  }
  const auto count = static_cast<double>(normal.elements());  // 30,000
  EXPECT_NEAR(sum / count, 0, 0.05);
  EXPECT_NEAR(std::sqrt(squares / count), 2, 0.05);
  EXPECT_EQ(parameters.state()[299], 3);
  EXPECT_EQ(parameters.state()[300], 0);
}

TEST_F(ParametersTest, InitialValuesDependOnSeedAndNameOnly) {
  add("a", 20, {Initializer::Kind::kNormal, 1});
  add("b", 20, {Initializer::Kind::kNormal, 1});
  Parameters all = make(), other_seed = make();
  graph_.freeze(0);  // moves b to offset 0
  Parameters moved = make();
  all.initialize(1, 1, *device_);
  moved.initialize(1, 1, *device_);
  other_seed.initialize(2, 1, *device_);
  for (size_t i : {0, 2}) {
    const auto bytes = static_cast<size_t>(all.slots()[i].elements()) * sizeof(float);
    const void* values = all.value(all.slots()[i]).data;
    EXPECT_EQ(std::memcmp(values, moved.value(moved.slots()[i]).data, bytes), 0);
    EXPECT_NE(std::memcmp(values, other_seed.value(other_seed.slots()[i]).data, bytes), 0);
  }
  EXPECT_NE(all.value(all.slots()[0]).as<float>()[0], all.value(all.slots()[2]).as<float>()[0]);
}

TEST_F(ParametersTest, TheShadowLiesAtTheOffsetsOfTheValues) {
  add("a", 13);
  const Parameters none = make(), bf16(graph_, device_->allocator(), device_->allocator(), Dtype::kBF16);
  EXPECT_EQ(none.shadow(), nullptr);
  EXPECT_FALSE(none.shadow(none.slots()[1]));
  const Tensor bias = bf16.shadow(bf16.slots()[1]);
  EXPECT_EQ(bias.data, static_cast<std::byte*>(bf16.shadow()) + 256 * 2);
  EXPECT_EQ(bias.type, (ValueType{{1, 1, 1, 13}, Dtype::kBF16}));
}

TEST_F(ParametersTest, TheLossScaleStartsAsAsked) {
  Parameters parameters = make();
  parameters.initialize(1, 1024, *device_);
  EXPECT_EQ(parameters.loss_scale()->scale, 1024);
  EXPECT_EQ(parameters.loss_scale()->good_steps, 0);
}

TEST_F(ParametersTest, AccumulatedIsAllocatedOnceAndZero) {
  add("a", 20);
  Parameters parameters = make();
  float* accumulated = parameters.accumulated();
  EXPECT_EQ(parameters.accumulated(), accumulated);
  EXPECT_EQ(std::accumulate(accumulated, accumulated + parameters.trainable_elements(), 0.0F), 0);
}

TEST_F(ParametersTest, ANetworkWithoutParametersHasAControlBlock) {
  const Parameters parameters = make();
  EXPECT_EQ(parameters.reduced_elements(), kControlSize);
  EXPECT_EQ(parameters.control(), parameters.gradients());
  EXPECT_THROW(parameters.first_slot("nobody"), InternalError);
}

}  // namespace
}  // namespace convoy
