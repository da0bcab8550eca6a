#include "core/train/optimizer.h"

#include <gtest/gtest.h>

#include <limits>

#include <array>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

// Parameters of the shapes given; never run.
class Holder : public Layer {
 public:
  explicit Holder(std::vector<ParameterSpec> parameters, bool state = false)
      : parameters_(std::move(parameters)), state_(state) {}
  std::string type() const override { return "holder"; }
  Shape shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  std::vector<ParameterSpec> parameters(std::span<const Shape>) const override { return parameters_; }
  std::vector<StateSpec> state(std::span<const Shape>) const override {
    if (!state_) return {};
    return {{"running_mean", {1, 1, 1, 3}, 1, 0.25F}};
  }

 private:
  std::vector<ParameterSpec> parameters_;
  bool state_;
};

class OptimizerTest : public testing::Test {
 protected:
  void add(const std::string& name, std::vector<ParameterSpec> parameters, bool state = false) {
    last_ = graph_.add(name, std::make_unique<Holder>(std::move(parameters), state), {last_});
  }
  Parameters make(Dtype shadow = Dtype::kF32) {
    Parameters parameters(graph_, device_->allocator(), device_->allocator(), shadow);
    parameters.initialize(1, 1, *device_);
    return parameters;
  }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
  std::unique_ptr<FlatOps> ops_ = make_cpu_flat_ops();
  Graph graph_;
  ValueId last_ = graph_.input("image", {}, Dtype::kF32);
};

// ---- Ten steps of PyTorch; tests/oracles/pytorch_optimizers.py prints these literals.

using Trajectory = std::array<std::array<float, 2>, 10>;

class TrajectoryTest : public OptimizerTest {
 protected:
  void expect(const Trajectory& trajectory,
              const std::function<std::unique_ptr<Optimizer>(const Parameters&)>& make_optimizer) {
    add("a", {{"weight", {1, 1, 1, 2}, {}}});
    Parameters parameters = make();
    const std::unique_ptr<Optimizer> optimizer = make_optimizer(parameters);
    float* weight = parameters.values();
    weight[0] = 1;
    weight[1] = -2;
    for (int step = 0; step < 10; ++step) {
      for (int i : {0, 1}) {
        parameters.gradients()[i] = weight[i] / 2 + static_cast<float>((7 * step + 3 * i) % 5 - 2) / 4;
      }
      const StepScalars scalars{.learning_rate = 0.1F, .step = step};
      optimizer->step(parameters, &scalars, device_->compute());
      for (size_t i : {0, 1}) EXPECT_NEAR(weight[i], trajectory[static_cast<size_t>(step)][i], 1e-6) << "step " << step;
    }
  }
  void expect_sgd(const Trajectory& trajectory, const SgdOptions& options, float decay) {
    expect(trajectory, [&](const Parameters& parameters) {
      return make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, decay, {}), options);
    });
  }
  void expect_adam(const Trajectory& trajectory, const AdamOptions& options, float decay) {
    expect(trajectory, [&](const Parameters& parameters) {
      return make_adam(*ops_, device_->allocator(), parameters, update_ranges(parameters, decay, {}), options);
    });
  }
};

TEST_F(TrajectoryTest, Sgd) {
  expect_sgd({{{1.0F, -1.925F},
               {0.94999999F, -1.7787499F},
               {0.85249996F, -1.6898124F},
               {0.83487499F, -1.6553218F},
               {0.76813126F, -1.5475557F},
               {0.77972472F, -1.4951779F},
               {0.74073845F, -1.370419F},
               {0.65370154F, -1.3018981F},
               {0.64601648F, -1.2868032F},
               {0.58871567F, -1.197463F}}},
             {}, 0);
}

TEST_F(TrajectoryTest, SgdWithMomentum) {
  expect_sgd({{{1.0F, -1.925F},
               {0.94999999F, -1.7112499F},
               {0.8075F, -1.4333124F},
               {0.66387498F, -1.1615031F},
               {0.47641873F, -0.83379948F},
               {0.33388716F, -0.52217633F},
               {0.1889144F, -0.16560668F},
               {-0.0010067879F, 0.16358632F},
               {-0.14688551F, 0.40168071F},
               {-0.2958321F, 0.62088162F}}},
             {0.9F}, 0);
}

TEST_F(TrajectoryTest, SgdWithNesterovMomentum) {
  expect_sgd({{{1.0F, -1.8575F},
               {0.90499997F, -1.5252875F},
               {0.68352497F, -1.2099814F},
               {0.55248761F, -0.97489572F},
               {0.34282628F, -0.63265264F},
               {0.26392454F, -0.37840214F},
               {0.13826731F, -0.024597883F},
               {-0.071082972F, 0.23413463F},
               {-0.15402332F, 0.3486442F},
               {-0.28723612F, 0.52161765F}}},
             {0.9F, true}, 0);
}

TEST_F(TrajectoryTest, SgdWithDecay) {
  expect_sgd({{{0.995F, -1.915F},
               {0.94027501F, -1.7596749F},
               {0.83855987F, -1.6628928F},
               {0.81743908F, -1.6214337F},
               {0.74747992F, -1.5072548F},
               {0.75636852F, -1.4493558F},
               {0.71476823F, -1.3196412F},
               {0.62545598F, -1.247061F},
               {0.61605591F, -1.2284727F},
               {0.55717283F, -1.1359067F}}},
             {}, 0.05F);
}

TEST_F(TrajectoryTest, SgdWithNesterovMomentumAndDecay) {
  expect_sgd({{{0.99049997F, -1.8385F},
               {0.88294274F, -1.4825268F},
               {0.64790344F, -1.1432326F},
               {0.50486785F, -0.88678503F},
               {0.28544834F, -0.52740324F},
               {0.20063239F, -0.26274186F},
               {0.07246165F, 0.094303437F},
               {-0.13553293F, 0.34778374F},
               {-0.21247801F, 0.44924062F},
               {-0.33623353F, 0.60332149F}}},
             {0.9F, true}, 0.05F);
}

TEST_F(TrajectoryTest, Adam) {
  expect_adam({{{1.0F, -1.9F},
                {0.92558634F, -1.8031256F},
                {0.84238774F, -1.7066858F},
                {0.76600701F, -1.6182433F},
                {0.68282694F, -1.5263774F},
                {0.61818206F, -1.4373105F},
                {0.55138797F, -1.3447702F},
                {0.47546849F, -1.2532177F},
                {0.40846783F, -1.1696831F},
                {0.33731639F, -1.0839601F}}},
              {}, 0);
}

TEST_F(TrajectoryTest, AdamWithDecay) {
  expect_adam({{{0.90196079F, -1.9001175F},
                {0.81876099F, -1.8017349F},
                {0.7294578F, -1.7047173F},
                {0.65173239F, -1.6170841F},
                {0.56628442F, -1.5248543F},
                {0.50801325F, -1.4365482F},
                {0.44703782F, -1.3428398F},
                {0.3710531F, -1.2511506F},
                {0.31041732F, -1.1708871F},
                {0.24310508F, -1.0867217F}}},
              {0.8F, 0.95F, 1e-3F}, 0.05F);
}

// ---- Groups

TEST_F(OptimizerTest, RangesAreTheFewestThatAreUpdatedAlike) {
  add("conv", {{"weight", {1, 1, 1, 200}, {}}, {"bias", {1, 1, 1, 3}, {}}});  // offsets 0, 256
  add("frozen", {{"weight", {1, 1, 1, 5}, {}}});
  add("fc", {{"weight", {1, 1, 1, 10}, {}}, {"bias", {1, 1, 1, 3}, {}}});  // offsets 384, 512
  graph_.freeze(1);
  const Parameters parameters = make();
  const auto ranges = [&](const std::vector<GroupSettings>& groups) {
    std::vector<std::array<float, 4>> result;
    for (const UpdateRange& it : update_ranges(parameters, 0.5F, groups)) {
      result.push_back(
          {static_cast<float>(it.begin), static_cast<float>(it.end), it.learning_rate_scale, it.weight_decay});
    }
    return result;
  };
  using Ranges = std::vector<std::array<float, 4>>;
  EXPECT_EQ(ranges({}), (Ranges{{0, 515, 1, 0.5F}}));
  EXPECT_EQ(ranges({{"*.bias", 1, 0}}),
            (Ranges{{0, 200, 1, 0.5F}, {256, 259, 1, 0}, {384, 394, 1, 0.5F}, {512, 515, 1, 0}}));
  EXPECT_EQ(ranges({{"fc.*", 3, 0}, {"*.bias", 2, 0.5F}}),  // the first match counts
            (Ranges{{0, 200, 1, 0.5F}, {256, 259, 2, 0.5F}, {384, 515, 3, 0}}));
}

TEST_F(OptimizerTest, APatternThatMatchesNothingIsAnError) {
  add("conv", {{"weight", {}, {}}});
  const Parameters parameters = make();
  expect_error(ExitCode::kConfig, {"'conv.bais' matches no parameter"}, [&] {
    update_ranges(parameters, 0, {{"conv.*", 1, 0}, {"conv.bais", 1, 0}});
  });
}

TEST_F(OptimizerTest, GroupsHaveTheirOwnLearningRateAndDecay) {
  add("a", {{"weight", {}, {}}, {"bias", {}, {}}});
  Parameters parameters = make();
  const auto optimizer =
      make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0.5F, {{"*.bias", 10, 0}}), {});
  float *weight = parameters.values(), *bias = weight + 128;
  *weight = *bias = 2;
  parameters.gradients()[0] = parameters.gradients()[128] = 1;
  const StepScalars scalars{.learning_rate = 0.125F};
  optimizer->step(parameters, &scalars, device_->compute());
  EXPECT_EQ(*weight, 2 - 0.125F * (1 + 0.5F * 2));
  EXPECT_EQ(*bias, 2 - 1.25F);
}

TEST_F(OptimizerTest, FrozenParametersAndGapsStayAsTheyAre) {
  add("a", {{"weight", {1, 1, 1, 3}, {}}, {"bias", {1, 1, 1, 3}, {}}});
  add("frozen", {{"weight", {1, 1, 1, 3}, {}}});
  graph_.freeze(1);
  Parameters parameters = make();
  const auto optimizer =
      make_adam(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0.1F, {}), AdamOptions{});
  for (int64_t offset : {0, 128, 256}) parameters.values()[offset] = 1;
  const StepScalars scalars{.learning_rate = 0.1F};
  optimizer->step(parameters, &scalars, device_->compute());
  EXPECT_NE(parameters.values()[128], 1);
  EXPECT_EQ(parameters.values()[256], 1);
  for (int64_t i : {3, 127, 131, 255, 259}) EXPECT_EQ(parameters.values()[i], 0);
}

// ---- Non-finite steps, statistics, state

TEST_F(OptimizerTest, ANonFiniteStepChangesNothing) {
  add("a", {{"weight", {}, {}}}, true);
  Parameters parameters = make();
  *parameters.values() = 2;
  const auto ranges = update_ranges(parameters, 0.1F, {});
  const auto sgd = make_sgd(*ops_, device_->allocator(), parameters, ranges, {0.9F, true});
  const auto adam = make_adam(*ops_, device_->allocator(), parameters, ranges, {});
  parameters.gradients()[0] = 5;
  parameters.batch_state()[0] = 7;
  parameters.control()[kNonFinite] = 1;
  const StepScalars scalars{.learning_rate = 0.1F};
  for (Optimizer* optimizer : {sgd.get(), adam.get()}) {
    optimizer->step(parameters, &scalars, device_->compute());
    for (const Optimizer::State& state : optimizer->state()) EXPECT_EQ(*state.data, 0) << state.name;
  }
  EXPECT_EQ(*parameters.values(), 2);
  EXPECT_EQ(*parameters.state(), 1);
}

TEST_F(OptimizerTest, ANonFiniteGradientIsFlaggedAndChangesNothing) {
  add("a", {{"weight", {1, 1, 1, 3}, {}}}, true);
  Parameters parameters = make();
  parameters.values()[0] = 2;
  const auto sgd = make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0, {}), {0.9F, true});
  parameters.gradients()[0] = 5;
  parameters.gradients()[2] = std::numeric_limits<float>::infinity();
  parameters.batch_state()[0] = 7;
  const StepScalars scalars{.learning_rate = 0.1F};
  sgd->step(parameters, &scalars, device_->compute());
  EXPECT_EQ(parameters.control()[kOverflow], 1);
  EXPECT_EQ(parameters.values()[0], 2);
  EXPECT_EQ(*parameters.state(), 1);
  for (const Optimizer::State& state : sgd->state()) EXPECT_EQ(*state.data, 0) << state.name;
}

TEST_F(OptimizerTest, AnOverflowSkipsTheStepAndHalvesTheLossScale) {
  add("a", {{"weight", {}, {}}});
  Parameters parameters = make(Dtype::kBF16);
  const auto sgd = make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0, {}), {});
  sgd->scale_loss({.initial = 8, .grow_every = 2});
  *parameters.loss_scale() = {8, 0};
  const StepScalars scalars{.learning_rate = 0.5F};
  const auto step = [&](float gradient) {
    parameters.gradients()[0] = gradient;
    parameters.control()[kOverflow] = 0;
    sgd->step(parameters, &scalars, device_->compute());
    EXPECT_EQ(bf16_to_f32(*static_cast<const uint16_t*>(parameters.shadow())), *parameters.values());
    return std::array{*parameters.values(), parameters.loss_scale()->scale};
  };
  using Found = std::array<float, 2>;
  *static_cast<uint16_t*>(parameters.shadow()) = f32_to_bf16(0);
  EXPECT_EQ(step(16), (Found{-1, 8}));  // -0.5 · 16 / 8
  EXPECT_EQ(step(std::numeric_limits<float>::infinity()), (Found{-1, 4}));
  EXPECT_EQ(step(16), (Found{-3, 4}));
  EXPECT_EQ(step(16), (Found{-5, 8}));  // the second good step
}

TEST_F(OptimizerTest, RunningStatisticsMoveByTheMeanOfTheMicroBatches) {
  add("a", {{"weight", {}, {}}}, true);
  Parameters parameters = make();
  const auto optimizer = make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0, {}), {});
  for (int i = 0; i < 3; ++i) parameters.batch_state()[i] = static_cast<float>(8 * i);  // sums of four
  const StepScalars scalars{.one_over_micro_batches = 0.25F};
  optimizer->step(parameters, &scalars, device_->compute());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(parameters.state()[i], 0.75F * 1 + 0.25F * static_cast<float>(2 * i));
}

TEST_F(OptimizerTest, StateIsWhatACheckpointMustHold) {
  add("a", {{"weight", {}, {}}});
  Parameters parameters = make();
  const auto ranges = update_ranges(parameters, 0, {});
  const auto names = [](Optimizer& optimizer) {
    std::vector<std::string> result;
    for (const Optimizer::State& state : optimizer.state()) result.push_back(state.name);
    return result;
  };
  Allocator& allocator = device_->allocator();
  EXPECT_EQ(names(*make_sgd(*ops_, allocator, parameters, ranges, {})), std::vector<std::string>{});
  EXPECT_EQ(names(*make_sgd(*ops_, allocator, parameters, ranges, {0.9F})), std::vector<std::string>{"momentum"});
  EXPECT_EQ(names(*make_adam(*ops_, allocator, parameters, ranges, {})),
            (std::vector<std::string>{"mean", "variance"}));
}

TEST(MatchesGlob, StarsAndQuestionMarks) {
  EXPECT_TRUE(matches_glob("*", ""));
  EXPECT_TRUE(matches_glob("*", "conv1.weight"));
  EXPECT_TRUE(matches_glob("*.bias", "block3.conv.bias"));
  EXPECT_TRUE(matches_glob("block?.*.b*s", "block3.conv.bias"));
  EXPECT_TRUE(matches_glob("a**b", "ab"));
  EXPECT_FALSE(matches_glob("", "a"));
  EXPECT_FALSE(matches_glob("*.bias", "conv.bias2"));
  EXPECT_FALSE(matches_glob("block?.*", "block.conv"));
  EXPECT_FALSE(matches_glob("conv", "conv1"));
  EXPECT_FALSE(matches_glob("convxbias", "conv.bias"));
  EXPECT_FALSE(matches_glob("a?", "a"));
}

}  // namespace
}  // namespace convoy
