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
    optimizer->clip(clip_, device_->allocator(), parameters);
    float* weight = parameters.values();
    weight[0] = 1;
    weight[1] = -2;
    for (int step = 0; step < 10; ++step) {
      for (int i : {0, 1}) {
        parameters.gradients()[i] = weight[i] / 2 + static_cast<float>((7 * step + 3 * i) % 5 - 2) / 4;
      }
      const StepScalars scalars{.learning_rate = learning_rate_, .step = step};
      optimizer->step(parameters, &scalars, device_->compute());
      for (size_t i : {0, 1}) EXPECT_NEAR(weight[i], trajectory[static_cast<size_t>(step)][i], 1e-6) << "step " << step;
    }
  }
  void expect_sgd(const Trajectory& trajectory, const SgdOptions& options, float decay) {
    expect(trajectory, [&](const Parameters& parameters) {
      return make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, decay, {}), options);
    });
  }
  void expect_rmsprop(const Trajectory& trajectory, float learning_rate, const RmspropOptions& options, float decay) {
    learning_rate_ = learning_rate;
    expect(trajectory, [&](const Parameters& parameters) {
      return make_rmsprop(*ops_, device_->allocator(), parameters, update_ranges(parameters, decay, {}), options);
    });
  }
  void expect_adam(const Trajectory& trajectory, const AdamOptions& options, float decay) {
    expect(trajectory, [&](const Parameters& parameters) {
      return make_adam(*ops_, device_->allocator(), parameters, update_ranges(parameters, decay, {}), options);
    });
  }

  float learning_rate_ = 0.1F;
  ClipOptions clip_;
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

TEST_F(TrajectoryTest, AdamW) {
  expect_adam({{{0.995F, -1.89F},
                {0.91561127F, -1.78364F},
                {0.827833F, -1.6783262F},
                {0.74758399F, -1.5818069F},
                {0.66092098F, -1.4823203F},
                {0.59377456F, -1.3863405F},
                {0.52496642F, -1.2872849F},
                {0.44719559F, -1.1898576F},
                {0.37911648F, -1.1013944F},
                {0.30723798F, -1.0112154F}}},
              {.decoupled = true}, 0.05F);
}

TEST_F(TrajectoryTest, Rmsprop) {
  expect_rmsprop({{{1.0F, -1.0000001F},
                   {2.3841858e-07F, -0.19855624F},
                   {-0.7088809F, -0.11884402F},
                   {-0.056288719F, -0.45383248F},
                   {-0.29033828F, -0.11141875F},
                   {0.27426028F, -0.25025937F},
                   {0.15451857F, 0.15932363F},
                   {-0.29739949F, 0.10693854F},
                   {0.0019200444F, -0.2365914F},
                   {-0.18412863F, -0.012677789F}}},
                 0.1F, {}, 0);
}

TEST_F(TrajectoryTest, RmspropWithMomentumAndDecay) {
  expect_rmsprop({{{0.97025824F, -1.9684944F},
                   {0.91217691F, -1.9120132F},
                   {0.83178252F, -1.8444648F},
                   {0.75340152F, -1.7753562F},
                   {0.66576087F, -1.6957304F},
                   {0.59049052F, -1.6143394F},
                   {0.51389378F, -1.5236864F},
                   {0.42663923F, -1.4316473F},
                   {0.34848872F, -1.3450608F},
                   {0.26736236F, -1.2546277F}}},
                 0.01F, {0.9F, 1e-3F, 0.9F}, 0.05F);
}

TEST_F(TrajectoryTest, SgdWithTheNormClipped) {
  clip_ = {.norm = 0.5F};
  expect_sgd({{{0.995F, -1.9400001F},
               {0.96949631F, -1.828939F},
               {0.90505695F, -1.6858156F},
               {0.82228345F, -1.5142846F},
               {0.71623713F, -1.3105369F},
               {0.63140237F, -1.0800843F},
               {0.5373711F, -0.81943238F},
               {0.40593261F, -0.55723023F},
               {0.29031166F, -0.34060064F},
               {0.15055244F, -0.10750285F}}},
             {0.9F}, 0.05F);
}

TEST_F(TrajectoryTest, AdamWithValuesClipped) {
  clip_ = {.value = 0.3F};
  expect_adam({{{0.90000004F, -1.9F},
                {0.8167491F, -1.8000348F},
                {0.72607541F, -1.700128F},
                {0.63803059F, -1.6003036F},
                {0.5459007F, -1.5005862F},
                {0.48677543F, -1.4009999F},
                {0.41958809F, -1.3015696F},
                {0.34500468F, -1.20232F},
                {0.28284657F, -1.1079599F},
                {0.2131294F, -1.0128845F}}},
              {}, 0.05F);
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

TEST_F(OptimizerTest, VectorsNeedNotDecay) {
  add("conv", {{"weight", {4, 1, 1, 5}, {}}, {"bias", {1, 1, 1, 3}, {}}});
  add("fc", {{"weight", {2, 1, 1, 10}, {}}, {"bias", {1, 1, 1, 2}, {}}});
  const Parameters parameters = make();
  const auto decays = [&](const std::vector<GroupSettings>& groups) {
    std::vector<float> result;
    for (const UpdateRange& it : update_ranges(parameters, 0.5F, groups, false)) result.push_back(it.weight_decay);
    return result;
  };
  EXPECT_EQ(decays({}), (std::vector<float>{0.5F, 0, 0.5F, 0}));
  EXPECT_EQ(decays({{"fc.bias", 1, 0.25F}}), (std::vector<float>{0.5F, 0, 0.5F, 0.25F}));
  EXPECT_EQ(decays({{"conv.*", 2, {}}}), (std::vector<float>{0.5F, 0, 0.5F, 0}));
}

TEST_F(OptimizerTest, TheNormOfAllGradientsIsAMetric) {
  add("a", {{"weight", {1, 1, 1, 3}, {}}, {"bias", {1, 1, 1, 1}, {}}});
  Parameters parameters = make();
  const auto sgd = make_sgd(*ops_, device_->allocator(), parameters, update_ranges(parameters, 0, {}), {});
  sgd->clip({.norm = 2.5F}, device_->allocator(), parameters);
  *parameters.loss_scale() = {4, 0};
  parameters.gradients()[1] = 12;
  parameters.gradients()[128] = 16;
  const StepScalars scalars{.learning_rate = 1};
  sgd->step(parameters, &scalars, device_->compute());
  EXPECT_FLOAT_EQ(parameters.control()[kGradientNorm], 5);
  EXPECT_FLOAT_EQ(parameters.values()[1], -1.5F);  // half of 12 / 4
  EXPECT_FLOAT_EQ(parameters.values()[128], -2);
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
  EXPECT_EQ(names(*make_rmsprop(*ops_, allocator, parameters, ranges, {})), std::vector<std::string>{"variance"});
  EXPECT_EQ(names(*make_rmsprop(*ops_, allocator, parameters, ranges, {.momentum = 0.9F})),
            (std::vector<std::string>{"variance", "momentum"}));
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
