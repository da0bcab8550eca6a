#include "launcher/model_builder.h"

#include <algorithm>

#include "core/device/target.h"
#include "launcher/layer_builder.h"
#include "layers/class_losses.h"
#include "layers/dropout.h"
#include "layers/softmax_cross_entropy.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> all;
  for (const Graph::Node& node : graph.nodes()) all.push_back(node.name);
  return all;
}

const Graph::Node& node(const Graph& graph, const std::string& name) {
  return *std::ranges::find(graph.nodes(), name, &Graph::Node::name);
}

class ModelBuilderTest : public ConfigTest {
 protected:
  static constexpr const char* kLayers = "    - flatten\n    - linear: {units: classes}\n";

  // `layers` begin in line 4 of x.yaml, column 7.
  static Model build(const std::string& layers, const std::vector<std::string>& overrides = {},
                     const Shape& sample = {1, 28, 28, 1}) {
    const Experiment experiment = load(replaced(kMinimal, kLayers, layers), overrides);
    return build_model(experiment, sample, 2);
  }
  static Model as_written(const std::string& layers, const Shape& sample = {1, 28, 28, 1}) {
    const Experiment experiment = load(replaced(kMinimal, kLayers, layers));
    return build_model(experiment.model, experiment.data, sample, {.rows = 2, .rewrite = false});
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

TEST_F(ModelBuilderTest, LossesAreCalledByTheirType) {
  const Model binary = build(kLayers, {"loss={type: binary_cross_entropy, label_smoothing: 0.25}"});
  const Layer& layer = *node(binary.graph, "binary_cross_entropy").layer;
  EXPECT_EQ(dynamic_cast<const BinaryCrossEntropy&>(layer).label_smoothing(), 0.25);
  EXPECT_EQ(names(build(kLayers, {"loss.type=mean_squared_error"}).graph).back(), "mean_squared_error");
  const Model taught = build(kLayers, {"loss.teacher={file: t.safetensors, weight: 0.5, temperature: 2}"});
  ASSERT_EQ(taught.graph.inputs().size(), 3U);
  EXPECT_EQ(taught.graph.inputs()[2].type, (ValueType{{2, 1, 1, 10}, Dtype::kF32}));
  const auto& distillation = dynamic_cast<const Distillation&>(*node(taught.graph, "distillation").layer);
  EXPECT_EQ(distillation.weight(), 0.5);
  EXPECT_EQ(distillation.temperature(), 2);
  const Model weighted = build(kLayers, {"loss.class_weights=[1,2,3,4,5,6,7,8,9,0.5]"});
  ASSERT_EQ(weighted.graph.inputs().size(), 3U);
  EXPECT_EQ(weighted.graph.inputs()[2].type, (ValueType{{1, 1, 1, 10}, Dtype::kF32}));
  EXPECT_EQ(weighted.class_weights, (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 0.5F}));
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

TEST_F(ModelBuilderTest, LayersReadAnyEarlierLayerByName) {
  const Model model = as_written(
      "    - conv2d: {filters: 4, kernel: 3, padding: same, name: a.conv}\n"
      "    - conv2d: {filters: 4, kernel: 1, name: b, input: image}\n"
      "    - conv2d: {filters: 4, kernel: 1, name: c, input: a.conv}\n"
      "    - add: {inputs: [a.conv, b], name: sum}\n"
      "    - concat: {inputs: [sum, c, image]}\n" +
      std::string(kLayers));
  const Graph& graph = model.graph;
  const auto inputs = [&](const char* name) { return node(graph, name).inputs; };
  const auto output = [&](const char* name) { return node(graph, name).output; };
  EXPECT_EQ(inputs("b"), std::vector{output("normalize")});
  EXPECT_EQ(inputs("c"), std::vector{output("a.conv")});
  EXPECT_EQ(inputs("sum"), (std::vector{output("a.conv"), output("b")}));
  EXPECT_EQ(inputs("concat_1"), (std::vector{output("sum"), output("c"), output("normalize")}));
  EXPECT_EQ(graph.shape(output("concat_1")), (Shape{2, 28, 28, 9}));
}

TEST_F(ModelBuilderTest, ComposedLayersTakeAnInput) {
  const Model model = as_written(
      "    - conv2d: {filters: 1, kernel: 1, name: a}\n"
      "    - residual: {layers: [relu: {name: r}], input: image, name: sum}\n"
      "    - repeat: {times: 1, layers: [relu: {name: again}], input: a}\n"
      "    - add: {inputs: [sum, again]}\n" +
      std::string(kLayers));
  EXPECT_EQ(node(model.graph, "r").inputs[0], node(model.graph, "normalize").output);
  EXPECT_EQ(node(model.graph, "sum").inputs[1], node(model.graph, "normalize").output);
  EXPECT_EQ(node(model.graph, "again").inputs[0], node(model.graph, "a").output);
}

TEST_F(ModelBuilderTest, FreezesLayersAndWhatIsInThem) {
  const Model model = as_written(
      "    - conv2d: {filters: 4, kernel: 1, name: a, trainable: false}\n"
      "    - residual: {layers: [conv2d: {filters: 4, kernel: 1, name: b}], trainable: false}\n"
      "    - conv2d: {filters: 4, kernel: 1, name: c, trainable: true}\n" +
      std::string(kLayers));
  EXPECT_TRUE(node(model.graph, "a").frozen);
  EXPECT_TRUE(node(model.graph, "b").frozen);
  EXPECT_FALSE(node(model.graph, "c").frozen);
  EXPECT_FALSE(node(model.graph, "linear_1").frozen);
}

TEST_F(ModelBuilderTest, RepeatCountsInNames) {
  const Model model = as_written(
      "    - repeat: {times: 2, layers: [relu: {name: a$i}]}\n"
      "    - repeat:\n"
      "        times: 1\n"
      "        from: 5\n"
      "        layers:\n"
      "          - residual: {layers: [conv2d: {filters: $i, kernel: 1, name: b$i.conv}], shortcut: [conv2d: {filters: "
      "$i, kernel: 1, name: $(i)_conv, input: a1}]}\n"
      "          - repeat: {times: 2, layers: [relu: {name: c$(i)_x}]}\n" +  // counts by itself
      std::string(kLayers));
  EXPECT_EQ(names(model.graph), (std::vector<std::string>{"normalize", "a0", "a1", "b5.conv", "5_conv", "add_1", "c0_x",
                                                          "c1_x", "flatten_1", "linear_1", "softmax_cross_entropy"}));
  EXPECT_EQ(model.graph.shape(node(model.graph, "b5.conv").output), (Shape{2, 28, 28, 5}));
  EXPECT_EQ(failure("repeat: {times: 2, layers: [relu: {name: r$j}]}"),
            "x.yaml:4:48: model.layers[0].repeat.layers[0].relu.name: expected up to 100 letters, digits, '_', '.' and "
            "'-', found 'r$j'");
  EXPECT_EQ(failure("repeat: {times: 2, layers: []}"),
            "x.yaml:4:34: model.layers[0].repeat.layers: expected at least one layer");
}

TEST_F(ModelBuilderTest, ResidualBranchesMayStartAtZero) {
  const std::string layers =
      "    - residual: {layers: [batch_norm, relu, batch_norm], zero_init: true}\n"
      "    - residual: {layers: [batch_norm], shortcut: [batch_norm]}\n"
      "    - residual: {layers: [group_norm: {groups: 1}, stochastic_depth: {rate: 0.1}]}\n"
      "    - residual: {layers: [repeat: {times: 2, layers: [relu, layer_norm]}]}\n"
      "    - residual: {layers: [relu], zero_init: false}\n" +
      std::string(kLayers);
  const auto started = [&](const std::vector<std::string>& overrides) {
    std::string all;
    const Model model = build(layers, overrides);
    for (const Graph::Node& node : model.graph.nodes()) {
      if (node.zero_weight) all += node.name + " ";
    }
    return all;
  };
  EXPECT_EQ(started({}), "batch_norm_2 ");
  EXPECT_EQ(started({"model.zero_init_residual=true"}), "batch_norm_2 batch_norm_3 group_norm_1 layer_norm_2 ");
  EXPECT_EQ(
      failure("residual: {layers: [batch_norm, relu], zero_init: true}"),
      "x.yaml:4:57: model.layers[0].residual.zero_init: expected a norm at the end of the branch, found 'relu_1'");
  EXPECT_EQ(failure("residual: {layers: [batch_norm: {scale: false}], zero_init: true}"),
            "x.yaml:4:67: model.layers[0].residual.zero_init: 'batch_norm_1' at the end of the branch has no weight to "
            "start at 0");
}

TEST_F(ModelBuilderTest, SqueezeExciteIsComposed) {
  const Model model = as_written(
      "    - conv2d: {filters: 6, kernel: 1}\n"
      "    - squeeze_excite: {reduced: 2, activation: relu, gate: hard_sigmoid, initializer: {normal: 0.5}, name: "
      "se}\n"
      "    - squeeze_excite: {reduced: 3, trainable: false}\n" +
      std::string(kLayers));
  const Graph& graph = model.graph;
  EXPECT_EQ(
      names(graph),
      (std::vector<std::string>{
          "normalize", "conv2d_1", "se.avgpool", "se.fc1", "se.activation", "se.fc2", "se.scale_activation", "se",
          "squeeze_excite_2.avgpool", "squeeze_excite_2.fc1", "squeeze_excite_2.activation", "squeeze_excite_2.fc2",
          "squeeze_excite_2.scale_activation", "squeeze_excite_2", "flatten_1", "linear_1", "softmax_cross_entropy"}));
  const auto type = [&](const char* name) { return node(graph, name).layer->type(); };
  EXPECT_EQ(type("se.activation"), "relu");
  EXPECT_EQ(type("se"), "multiply");
  const Graph::Node& fc2 = node(graph, "se.fc2");
  EXPECT_EQ(fc2.layer->parameters(graph.input_shapes(fc2))[0].initializer.scale, 0.5F);
  EXPECT_EQ(node(graph, "se").inputs,
            (std::vector{node(graph, "conv2d_1").output, node(graph, "se.scale_activation").output}));
  EXPECT_EQ(graph.shape(node(graph, "se.fc1").output), (Shape{2, 1, 1, 2}));
  EXPECT_EQ(graph.shape(node(graph, "se").output), (Shape{2, 28, 28, 6}));
  EXPECT_TRUE(node(graph, "squeeze_excite_2.fc1").frozen);
  EXPECT_FALSE(node(graph, "se.fc1").frozen);
  EXPECT_EQ(failure("squeeze_excite: {reduced: 2, gate: relu}"),
            "x.yaml:4:42: model.layers[0].squeeze_excite.gate: expected sigmoid or hard_sigmoid, found 'relu'");
}

TEST_F(ModelBuilderTest, TheTopComesBehindTheLayers) {
  const Model model = as_written("    - conv2d: {filters: 2, kernel: 1, name: body}\n  top:\n" + std::string(kLayers));
  EXPECT_EQ(names(model.graph),
            (std::vector<std::string>{"normalize", "body", "flatten_1", "linear_1", "softmax_cross_entropy"}));
  EXPECT_EQ(
      failure("relu", "  top: [flatten]\n"),
      "x.yaml:5:9: model.top[0].flatten: the network must end in 2x1x1x10, one number for each class, and ends in "
      "2x1x1x784, the output of 'flatten_1'; add `- linear: {units: classes}`");
}

TEST_F(ModelBuilderTest, ALayerBuilderGoesOnWithAGraph) {
  Model base = as_written("    - conv2d: {filters: 2, kernel: 1}\n" + std::string(kLayers));
  const Experiment experiment =
      load(replaced(kMinimal, kLayers,
                    "    - conv2d: {filters: 3, kernel: 1, input: conv2d_1}\n    - conv2d: {filters: 3, kernel: 1}\n"));
  Graph& graph = base.graph;
  LayerBuilder builder(graph, graph.nodes().front().output);
  const ValueId end = builder.append(experiment.model.layers, base.logits);
  EXPECT_EQ(node(graph, "conv2d_2").inputs[0], node(graph, "conv2d_1").output);
  EXPECT_EQ(node(graph, "conv2d_3").output, end);
}

// ---- Errors

TEST_F(ModelBuilderTest, SaysWhichInputIsMissing) {
  EXPECT_EQ(failure("relu: {input: conv}"),
            "x.yaml:4:21: model.layers[0].relu.input: no layer before this one is called 'conv'");
  EXPECT_EQ(
      failure("relu: {input: imag}"),
      "x.yaml:4:21: model.layers[0].relu.input: no layer before this one is called 'imag', did you mean 'image'?");
  EXPECT_EQ(failure("relu: {name: a, input: a}"),
            "x.yaml:4:30: model.layers[0].relu.input: no layer before this one is called 'a'");
  EXPECT_EQ(failure("relu: {input: normalize}"),
            "x.yaml:4:21: model.layers[0].relu.input: no layer before this one is called 'normalize', did you mean "
            "'normalize'?");
  EXPECT_EQ(failure("add"), "x.yaml:4:7: model.layers[0].add.inputs: required key is missing");
  EXPECT_EQ(failure("add: {inputs: [image]}"),
            "x.yaml:4:21: model.layers[0].add.inputs: expected the names of at least two layers");
  EXPECT_EQ(failure("add: {inputs: [image, []]}"),
            "x.yaml:4:29: model.layers[0].add.inputs[1]: expected text, found a list");
  EXPECT_EQ(failure("concat: {inputs: [image, x]}"),
            "x.yaml:4:24: model.layers[0].concat.inputs: no layer before this one is called 'x'");
  EXPECT_EQ(failure("relu: {inputs: [image, image]}"),
            "x.yaml:4:14: model.layers[0].relu.inputs: unknown key, did you mean 'input'?");
  EXPECT_EQ(failure("relu: {name: image}"),
            "x.yaml:4:20: model.layers[0].relu.name: 'image' stands for the input of the network");
}

TEST_F(ModelBuilderTest, RefusesWhatNothingReads) {
  EXPECT_EQ(failure("relu: {name: lost}", "    - flatten: {input: image}\n    - linear: {units: classes}\n"),
            "x.yaml:4:7: model.layers[0].relu: nothing reads the output of 'lost'");
}

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
  const std::string error = failure("attention");
  EXPECT_TRUE(error.starts_with("x.yaml:4:7: model.layers[0].attention: unknown layer type, expected one of a"))
      << error;
  EXPECT_NE(error.find(", residual, "), std::string::npos) << error;
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
  EXPECT_EQ(failure("relu: {slope: 1}"),
            "x.yaml:4:14: model.layers[0].relu.slope: unknown key, expected one of trainable, "
            "input, name");
  EXPECT_EQ(failure("relu: {name: 'a b'}"),
            "x.yaml:4:20: model.layers[0].relu.name: expected up to 100 letters, digits, '_', '.' and '-', found "
            "'a b'");
}

TEST_F(ModelBuilderTest, RefusesTwoLayersOfOneName) {
  EXPECT_EQ(failure("relu: {name: x}", "    - dropout: {rate: 0.5, name: x}\n"),
            "x.yaml:5:7: model.layers[1].dropout: two layers are called 'x'");
  for (const std::string name :
       {"normalize", "softmax_cross_entropy", "distillation", "binary_cross_entropy", "mean_squared_error"}) {
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
  EXPECT_EQ(failure("conv2d: {filters: 16384, kernel: 4096, padding: 4096}"),
            "x.yaml:4:7: model.layers[0].conv2d: no machine computes its output");
  std::string many = "r";
  for (int i = 0; i < 1000; ++i) many += ", r";
  EXPECT_EQ(failure("relu: {name: r}\n    - repeat: {times: 1000, layers: [add: {inputs: [" + many + "]}]}"),
            "x.yaml:5:7: model.layers[1].repeat: the repeats come to more than 1000000 values");
  EXPECT_EQ(failure("relu: {name: r}\n    - repeat: {times: 500, layers: [add: {inputs: [" + many + "]}]}"),
            "x.yaml:5:51: model.layers[1].repeat.layers[0].add.inputs: more than 100000 inputs in all");
}

TEST_F(ModelBuilderTest, SaysWhatIsMissingAtTheEnd) {
  EXPECT_EQ(failure("relu", ""),
            "x.yaml:4:7: model.layers[0].relu: the network must end in 2x1x1x10, one number for each class, and ends "
            "in 2x28x28x1, the output of 'relu_1'; add `- flatten` and `- linear: {units: classes}`");
  EXPECT_EQ(failure("flatten", "    - linear: {units: 84}\n"),
            "x.yaml:5:7: model.layers[1].linear: the network must end in 2x1x1x10, one number for each class, and ends "
            "in 2x1x1x84, the output of 'linear_1'; add `- linear: {units: classes}`");
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
