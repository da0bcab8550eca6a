#include "launcher/model_builder.h"

#include <algorithm>
#include <cmath>

#include "core/device/target.h"
#include "layers/dropout.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

int64_t parameter_count(const Graph& graph) {
  int64_t count = 0;
  for (const Graph::Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.layer->parameters(graph.input_shapes(node))) count += spec.shape.elements();
  }
  return count;
}

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> all;
  for (const Graph::Node& node : graph.nodes()) all.push_back(node.name);
  return all;
}

const Graph::Node& node(const Graph& graph, const std::string& name) {
  return *std::ranges::find(graph.nodes(), name, &Graph::Node::name);
}

Initializer start_of(const Graph& graph, const std::string& name, size_t parameter) {
  const Graph::Node& found = node(graph, name);
  return found.layer->parameters(graph.input_shapes(found)).at(parameter).initializer;
}

class ModelBuilderTest : public ConfigTest {
 protected:
  static constexpr const char* kLayers = "    - flatten\n    - linear: {units: classes}\n";

  // `layers` begin in line 4 of x.yaml, column 7.
  static Model build(const std::string& layers, const std::vector<std::string>& overrides = {},
                     const Shape& sample = {1, 28, 28, 1}) {
    const Experiment experiment = load(replaced(kMinimal, kLayers, layers), overrides);
    return build_model(experiment.model, experiment.data, sample, 2);
  }

  // The error that one layer in line 4 gives, in front of a proper end.
  static std::string failure(const std::string& layer, const std::string& end = kLayers) {
    try {
      build("    - " + layer + "\n" + end);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  }
};

// ---- The models that come with Convoy

struct Shipped {
  const char* name;
  int classes;
  Shape sample;
  int64_t parameters;
};
void PrintTo(const Shipped& shipped, std::ostream* out) { *out << shipped.name; }

class ShippedModels : public ModelBuilderTest, public ::testing::WithParamInterface<Shipped> {
 protected:
  static Model shipped(const Shipped& it) {
    const std::string file = std::string(CONVOY_SOURCE_DIR "/configs/models/") + it.name + ".yaml";
    return build(kLayers, {"model.config=" + file, "data.classes=" + std::to_string(it.classes)}, it.sample);
  }
};

TEST_P(ShippedModels, HaveTheParametersThatTheirFilesState) {
  const Model model = shipped(GetParam());
  EXPECT_EQ(parameter_count(model.graph), GetParam().parameters);
  EXPECT_EQ(model.graph.shape(model.logits), (Shape{2, 1, 1, GetParam().classes}));
}

INSTANTIATE_TEST_SUITE_P(All, ShippedModels,
                         ::testing::Values(Shipped{"lenet5", 10, {1, 28, 28, 1}, 61706},
                                           Shipped{"mnist-pytorch", 10, {1, 28, 28, 1}, 1199882},
                                           Shipped{"cifar-resnet20", 10, {1, 32, 32, 3}, 272474},
                                           Shipped{"resnet18", 1000, {1, 224, 224, 3}, 11689512},
                                           Shipped{"resnet50", 1000, {1, 224, 224, 3}, 25557032},
                                           Shipped{"vgg16", 1000, {1, 224, 224, 3}, 138357544}));

TEST_F(ShippedModels, ResNetsStartAsInTorchvision) {
  const Model model = shipped({"resnet18", 1000, {1, 224, 224, 3}, 0});
  const Initializer stem = start_of(model.graph, "conv2d_1", 0);  // 7x7, 64 filters
  EXPECT_EQ(stem.kind, Initializer::Kind::kNormal);
  EXPECT_FLOAT_EQ(stem.scale, std::sqrt(2.0F / (64 * 7 * 7)));
  const Initializer last = start_of(model.graph, "linear_1", 0);  // 512 inputs
  EXPECT_EQ(last.kind, Initializer::Kind::kUniform);
  EXPECT_FLOAT_EQ(last.scale, 1 / std::sqrt(512.0F));
}

// ---- Graphs

TEST_F(ModelBuilderTest, PutsNormalizeFirstAndTheLossLast) {
  const Model model = build(kLayers);
  EXPECT_EQ(names(model.graph),
            (std::vector<std::string>{"normalize", "flatten_1", "linear_1", "softmax_cross_entropy"}));
  ASSERT_EQ(model.graph.inputs().size(), 2U);
  EXPECT_EQ(model.graph.inputs()[0].type, (ValueType{{2, 28, 28, 1}, Dtype::kU8}));
  EXPECT_EQ(model.graph.inputs()[1].type, (ValueType{targets_shape(2), Dtype::kI32}));
  EXPECT_EQ(model.logits, node(model.graph, "linear_1").output);
}

TEST_F(ModelBuilderTest, NumbersEachTypeAndTakesGivenNames) {
  const Model model = build(
      "    - conv2d: {filters: 2, kernel: 1}\n"
      "    - max_pool: {kernel: 2}\n"
      "    - conv2d: {filters: 3, kernel: 1, name: middle}\n"
      "    - conv2d: {filters: 4, kernel: 1}\n"
      "    - flatten\n"
      "    - linear: {units: 10}\n");
  EXPECT_EQ(names(model.graph), (std::vector<std::string>{"normalize", "conv2d_1", "max_pool_1", "middle", "conv2d_3",
                                                          "flatten_1", "linear_1", "softmax_cross_entropy"}));
  EXPECT_EQ(model.graph.shape(node(model.graph, "max_pool_1").output), (Shape{2, 14, 14, 2}));  // stride = kernel
}

TEST_F(ModelBuilderTest, ContainersNest) {
  const Model model = build(
      "    - conv2d: {filters: 4, kernel: 3, padding: same}\n"
      "    - repeat:\n"
      "        times: 2\n"
      "        layers:\n"
      "          - residual: {layers: [conv2d: {filters: 4, kernel: [3, 1], padding: [1, 0]}]}\n"
      "    - concat: {branches: [[], [conv2d: {filters: 3, kernel: 1}], [average_pool: {kernel: 1}]]}\n" +
      std::string(kLayers));
  EXPECT_EQ(model.graph.shape(node(model.graph, "add_2").output), (Shape{2, 28, 28, 4}));
  EXPECT_EQ(node(model.graph, "add_2").inputs[1], node(model.graph, "add_1").output);
  EXPECT_EQ(model.graph.shape(node(model.graph, "concat_1").output), (Shape{2, 28, 28, 11}));
}

TEST_F(ModelBuilderTest, DropoutLayersDrawDifferently) {
  const Model model = build("    - dropout: {rate: 0.5}\n    - dropout: {rate: 0.5}\n" + std::string(kLayers));
  const auto id = [&](const char* name) { return dynamic_cast<Dropout&>(*node(model.graph, name).layer).id(); };
  EXPECT_NE(id("dropout_1"), id("dropout_2"));
}

// ---- Errors

TEST_F(ModelBuilderTest, SaysWhereAWindowDoesNotFit) {
  EXPECT_EQ(failure("conv2d: {filters: 4, kernel: 29}"),
            "x.yaml:4:7: model.layers[0].conv2d: conv2d 'conv2d_1': the window covers 29 pixels of height, but the "
            "padded input has only 28");
  EXPECT_EQ(failure("linear: {units: 3}", ""),
            "x.yaml:4:7: model.layers[0].linear: linear 'linear_1': expected an input of shape Nx1x1xC, found "
            "2x28x28x1; put a flatten (or global_average) layer before it");
}

TEST_F(ModelBuilderTest, KnowsItsTypes) {
  EXPECT_EQ(failure("conv2: {filters: 4, kernel: 3}"),
            "x.yaml:4:7: model.layers[0].conv2: unknown layer type, did you mean 'conv2d'?");
  const std::string message = failure("attention");
  EXPECT_EQ(message.substr(0, 74), "x.yaml:4:7: model.layers[0].attention: unknown layer type, expected one of");
  for (const char* type : {" batch_norm,", " relu,", " concat,", " repeat,", " residual"}) {
    EXPECT_NE(message.find(type), std::string::npos) << type;
  }
}

TEST_F(ModelBuilderTest, ChecksParameters) {
  EXPECT_EQ(failure("conv2d: {kernel: 3}"), "x.yaml:4:7: model.layers[0].conv2d.filters: required key is missing");
  EXPECT_EQ(failure("conv2d: {filters: 4, kernel: 3, strides: 2}"),
            "x.yaml:4:39: model.layers[0].conv2d.strides: unknown key, did you mean 'stride'?");
  EXPECT_EQ(failure("conv2d: {filters: 0, kernel: 3}"),
            "x.yaml:4:25: model.layers[0].conv2d.filters: expected an integer in [1, 16777216], found '0'");
  EXPECT_EQ(failure("conv2d: {filters: 4, kernel: 3, padding: full}"),
            "x.yaml:4:48: model.layers[0].conv2d.padding: expected an integer in [0, 4096], same or valid, found "
            "'full'");
  EXPECT_EQ(failure("conv2d: {filters: 4, kernel: 3, initializer: xavier}").substr(0, 54),
            "x.yaml:4:52: model.layers[0].conv2d.initializer: expec");
  EXPECT_EQ(failure("dropout: {rate: 1}"),
            "x.yaml:4:23: model.layers[0].dropout.rate: expected a number in [0, 1), found '1'");
  EXPECT_EQ(failure("relu: {slope: 1}"), "x.yaml:4:14: model.layers[0].relu.slope: unknown key, expected one of name");
  EXPECT_EQ(failure("relu: {name: 'a b'}"),
            "x.yaml:4:20: model.layers[0].relu.name: expected up to 100 letters, digits, '_', '.' and '-', found "
            "'a b'");
}

TEST_F(ModelBuilderTest, RefusesTwoLayersOfOneName) {
  EXPECT_EQ(failure("relu: {name: x}", "    - dropout: {rate: 0.5, name: x}\n"),
            "x.yaml:5:7: model.layers[1].dropout: two layers are called 'x'");
  for (const std::string name : {"normalize", "softmax_cross_entropy"}) {
    EXPECT_EQ(failure("relu: {name: " + name + "}"),
              "x.yaml:4:20: model.layers[0].relu.name: '" + name + "' is a layer that Convoy adds itself");
  }
}

TEST_F(ModelBuilderTest, ChecksContainers) {
  EXPECT_EQ(failure("residual: {layers: []}"),
            "x.yaml:4:26: model.layers[0].residual.layers: expected at least one layer");
  EXPECT_EQ(failure("concat: {branches: [[relu]]}"),
            "x.yaml:4:26: model.layers[0].concat.branches: expected at least two branches");
  EXPECT_EQ(failure("repeat: {times: 2, layers: [relu], name: x}").substr(0, 58),
            "x.yaml:4:42: model.layers[0].repeat.name: unknown key, exp");
  EXPECT_EQ(failure("residual: {layers: [conv2d: {filters: 2, kernel: 3}]}").substr(0, 54),
            "x.yaml:4:7: model.layers[0].residual: add 'add_1': exp");
  EXPECT_EQ(failure("residual: {layers: [conv2d: {filters: 2, kernel: 30}]}").substr(0, 80),
            "x.yaml:4:27: model.layers[0].residual.layers[0].conv2d: conv2d 'conv2d_1': the w");
}

TEST_F(ModelBuilderTest, BoundsWhatAFileCanAskFor) {
  EXPECT_EQ(failure("repeat: {times: 1000, layers: [repeat: {times: 1000, layers: [relu]}]}"),
            "x.yaml:4:69: model.layers[0].repeat.layers[0].repeat.layers[0].relu: the network has more than 10000 "
            "layers");
  EXPECT_EQ(failure("conv2d: {filters: 16777216, kernel: 4096, padding: 4096}"),
            "x.yaml:4:7: model.layers[0].conv2d: no machine holds its output or its parameters");
}

TEST_F(ModelBuilderTest, SaysWhatIsMissingAtTheEnd) {
  EXPECT_EQ(failure("relu", ""),
            "x.yaml:4:7: model.layers[0].relu: the network must end in 2x1x1x10, one number for each class, and ends "
            "in 2x28x28x1; add `- flatten` and `- linear: {units: classes}`");
  EXPECT_EQ(failure("flatten", "    - linear: {units: 84}\n"),
            "x.yaml:5:7: model.layers[1].linear: the network must end in 2x1x1x10, one number for each class, and ends "
            "in 2x1x1x84; add `- linear: {units: classes}`");
}

TEST_F(ModelBuilderTest, ChecksMeanAndStdAgainstTheImages) {
  try {
    build(kLayers, {"data.mean=[0.1, 0.2, 0.3]"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "x.yaml:7:3: data: normalize 'normalize': mean: expected 1 value, found 3");
  }
}

}  // namespace
}  // namespace convoy
