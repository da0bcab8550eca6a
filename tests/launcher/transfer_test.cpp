#include "launcher/transfer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "layers/batch_norm.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

constexpr const char* kBase =
    "name: base\n"
    "layers:\n"
    "  - conv2d: {filters: 4, kernel: 3, padding: 1, bias: false, name: a}\n"
    "  - batch_norm: {name: n}\n"
    "  - relu\n"
    "  - residual:\n"
    "      layers: [conv2d: {filters: 4, kernel: 3, padding: 1, name: b}]\n"
    "  - max_pool: {kernel: 2}\n"
    "top:\n"
    "  - flatten\n"
    "  - linear: {units: classes, name: top}\n";

constexpr const char* kTransfer = R"(
experiment: {name: run}
model:
  base: {config: base.yaml}
  layers:
    - conv2d: {filters: 4, kernel: 1, name: head}
    - flatten
    - linear: {units: classes, name: fc}
data: {format: synthetic, shape: [8, 8, 3], classes: 4, train_size: 96, test_size: 48, mean: [0.5], std: [0.25]}
batch: {global: 32, micro: 8}
train: {steps: 6, eval_every_epochs: 0}
optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9}
checkpoint: {every_epochs: 0}
threads: 1
progress: none
)";

class TransferTest : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    write("base.yaml", kBase);
  }
  static Graph graph(const std::vector<std::string>& overrides = {}) {
    const Experiment experiment = load(kTransfer, overrides);
    return build_model(experiment.model, experiment.data, {1, 8, 8, 3}, {.rows = 2, .rewrite = false}).graph;
  }
  static std::string names(const Graph& graph) {
    std::string all;
    for (const Graph::Node& node : graph.nodes()) all += node.name + " ";
    return all;
  }
  static std::string frozen(const Graph& graph) {
    std::string all;
    for (const Graph::Node& node : graph.nodes()) all += node.frozen ? node.name + " " : "";
    return all;
  }
  Tensors run(int ranks, const std::vector<std::string>& overrides) {
    const Experiment experiment = load(kTransfer, overrides);
    Signals signals;
    Tensors result;
    std::mutex mutex;
    run_thread_group(ranks, [&](Communicator& communicator) {
      TrainingRun run({.version = "test", .fresh = true}, experiment, communicator, signals);
      EXPECT_EQ(run.run(), ExitCode::kDone);
      const std::lock_guard lock(mutex);
      if (communicator.rank() == 0) result = tensors(run.model_tensors());
    });
    return result;
  }
};

TEST_F(TransferTest, TheBaseComesFirstWithoutItsTop) {
  EXPECT_EQ(names(graph()), "normalize a n relu_1 b add_1 max_pool_1 head flatten_1 fc softmax_cross_entropy ");
  EXPECT_EQ(frozen(graph()), "");
}

TEST_F(TransferTest, IsCutByNameAndByNumber) {
  EXPECT_EQ(names(graph({"model.base.until=relu_1"})), "normalize a n relu_1 head flatten_1 fc softmax_cross_entropy ");
  EXPECT_EQ(names(graph({"model.base.until=2"})), names(graph({"model.base.until=relu_1"})));
  EXPECT_EQ(names(graph({"model.base.until=-2"})), names(graph({"model.base.until=add_1"})));
  // In a branch: what the layer does not need is gone.
  EXPECT_EQ(names(graph({"model.base.until=b"})), "normalize a n relu_1 b head flatten_1 fc softmax_cross_entropy ");
}

TEST_F(TransferTest, RefusesALayerThatTheBaseHasNot) {
  EXPECT_NE(error_of(kTransfer, {"model.base.config=absent.yaml"}, ExitCode::kNoInput), "");
  for (const auto& [override, message] :
       {std::pair<std::string, std::string>{"model.base.until=relu_7",
                                            "the base has no layer 'relu_7', did you mean 'relu_1'?"},
        {"model.base.until=6", "the base has 6 layers, found number 6"},
        {"model.base.until=-7", "the base has 6 layers, found number -7"},
        {"model.base={config: base.yaml, until: n, freeze_until: b}", "'b' comes behind model.base.until"},
        {"model.base={config: base.yaml, freeze: true, freeze_until: n}", "excludes model.base.freeze"},
        {"model.base.freeze_until=c", "model.base.freeze_until: the base has no layer 'c'"}}) {
    try {
      graph({override});
      ADD_FAILURE() << override;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }
}

TEST_F(TransferTest, FreezesAllOrUpToALayer) {
  EXPECT_EQ(frozen(graph({"model.base.freeze=true"})), "a n relu_1 b add_1 max_pool_1 ");
  EXPECT_EQ(frozen(graph({"model.base.freeze_until=n"})), "a n ");
}

TEST_F(TransferTest, FrozenBatchNormStandsStillUnlessAskedOtherwise) {
  const auto inference = [](const Graph& graph) {
    const auto node = std::ranges::find(graph.nodes(), "n", &Graph::Node::name);
    return dynamic_cast<const BatchNorm&>(*node->layer).options().inference;
  };
  EXPECT_FALSE(inference(graph()));
  EXPECT_TRUE(inference(graph({"model.base.freeze=true"})));
  EXPECT_FALSE(inference(graph({"model.base.freeze=true", "model.base.batch_norm=train"})));
}

TEST_F(TransferTest, FrozenLayersHaveNoGradientNoBackwardPassAndNoTraffic) {
  const Experiment experiment = load(kTransfer, {"model.base.freeze=true"});
  const std::unique_ptr<Communicator> solo = make_solo_communicator();
  Backend backend = make_backend(experiment, *solo, 1);
  const Model model = build_model(experiment, {1, 8, 8, 3}, 8);
  const Parameters parameters(model.graph, backend.device->allocator(), solo->allocator());
  for (const ParameterSlot& slot : parameters.slots()) {
    EXPECT_EQ(slot.trainable, slot.name.starts_with("head") || slot.name.starts_with("fc")) << slot.name;
  }
  EXPECT_EQ(parameters.reduced_elements(), parameters.trainable_elements() + kControlSize);
  const Program program(model.graph, parameters, *backend.kernels, {Mode::kTrain, backend.precision, {}});
  const Plan plan = program.plan();
  for (const Step& step : plan.steps()) {
    if (step.name.find("backward") == std::string::npos) continue;
    EXPECT_TRUE(step.name.starts_with("softmax") || step.name.starts_with("fc") || step.name.starts_with("head") ||
                step.name.starts_with("flatten_1"))
        << step.name;
  }
}

TEST_F(TransferTest, TrainingMovesTheHeadAndNothingFrozen) {
  const Tensors start = run(1, {"model.base.freeze=true", "train.steps=1", "optimizer.learning_rate=1e-30"});
  const Tensors end = run(2, {"model.base.freeze=true"});
  for (const auto& [name, values] : start) {
    const bool head = name.starts_with("head") || name.starts_with("fc");
    EXPECT_EQ(values == end.at(name), !head) << name;
  }
}

TEST_F(TransferTest, StartsFromTheWeightsOfTheBase) {
  const Tensors trained = run(1, {"train.exports=[all.safetensors]"});
  const Tensors moved = run(2, {"model.base.weights=runs/run/all.safetensors", "model.base.freeze=true",
                                "experiment.name=second", "experiment.seed=7", "train.steps=1"});
  EXPECT_EQ(moved.at("a.weight"), trained.at("a.weight"));
  EXPECT_EQ(moved.at("n.running_mean"), trained.at("n.running_mean"));
  EXPECT_NE(moved.at("head.weight"), trained.at("head.weight"));
}

TEST_F(TransferTest, ALearningRateOfItsOwn) {
  const Tensors start = run(1, {"train.steps=1", "optimizer.learning_rate=1e-30"});
  const Tensors slow = run(1, {"train.steps=1", "model.base.learning_rate_scale=0.001"});
  const Tensors fast = run(1, {"train.steps=1"});
  EXPECT_LT(relative_distance(slow.at("a.weight"), start.at("a.weight")),
            0.01 * relative_distance(fast.at("a.weight"), start.at("a.weight")));
  EXPECT_EQ(slow.at("fc.weight"), fast.at("fc.weight"));
}

}  // namespace
}  // namespace convoy
