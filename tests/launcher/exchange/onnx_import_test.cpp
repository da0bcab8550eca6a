#include <gtest/gtest.h>

#include <algorithm>

#include "launcher/exchange/onnx_writer.h"
#include "tests/core/base/testing.h"
#include "tests/launcher/exchange/onnx_model.h"

namespace convoy {
namespace {

using Integers = std::vector<int64_t>;
using Values = std::vector<float>;

constexpr auto& ints = onnx_integers_attribute;

const ForeignTensor& tensor(const ForeignModel& file, const std::string& name) {
  const auto found = std::ranges::find(file.tensors, name, &ForeignTensor::name);
  if (found == file.tensors.end()) throw std::out_of_range(name);
  return *found;
}

// The layers of the file, without those that the caller has in front of all.
void expect_layers(const OnnxGraph& graph, const std::string& layers) {
  const ForeignModel file = graph.read();
  EXPECT_EQ(file.model.substr(file.model.find("layers:\n") + 8), layers);
}

void expect_refused(const OnnxGraph& graph, const std::vector<std::string>& parts) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("m.onnx: ");
  expect_error(ExitCode::kConfig, with_name, [&] { graph.read(); });
}

void expect_bad(const OnnxGraph& graph, const std::vector<std::string>& parts) {
  std::vector<std::string> with_name = parts;
  with_name.emplace_back("m.onnx: ");
  expect_error(ExitCode::kBadData, with_name, [&] { graph.read(); });
}

TEST(OnnxImport, LayersAreCalledAfterWeightsOrNodes) {
  OnnxGraph graph;
  graph.weight("layer1.0.conv.weight", {4, 3, 1, 1})
      .weight("onnx::Conv_7", {4, 4, 1, 1})
      .node("Conv", {"x", "layer1.0.conv.weight"}, "a")
      .node("Conv", {"a", "onnx::Conv_7"}, "/layer1/conv 2/Conv")
      .node("Conv", {"/layer1/conv 2/Conv", "layer1.0.conv.weight"}, "c");
  graph.model.nodes[2].name = "";
  expect_layers(graph,
                "  - conv2d: {name: 'layer1.0.conv', filters: 4, kernel: 1, stride: 1, bias: false}\n"
                "  - conv2d: {name: 'layer1.conv_2.Conv', filters: 4, kernel: 1, stride: 1, bias: false}\n"
                "  - conv2d: {name: 'layer1.0.conv_2', filters: 4, kernel: 1, stride: 1, bias: false}\n");
  const ForeignModel file = graph.read();
  EXPECT_EQ(file.order, WeightOrder::kPytorch);
  EXPECT_EQ(tensor(file, "layer1.conv_2.Conv.weight").original, "onnx::Conv_7");
  EXPECT_EQ(tensor(file, "layer1.0.conv_2.weight").tensor.values.size(), 12U);
  EXPECT_EQ(tensor(file, "layer1.0.conv.weight").tensor.dims, (Integers{4, 3, 1, 1}));
  EXPECT_EQ(file.shape, (std::array<int, 3>{8, 8, 3}));
}

TEST(OnnxImport, Windows) {
  OnnxGraph graph;
  graph.weight("c.weight", {4, 3, 3, 5})
      .node("Conv", {"x", "c.weight"}, "c",
            {ints("pads", {1, 2, 1, 2}), ints("strides", {2, 2}), ints("dilations", {1, 2})})
      .node("MaxPool", {"c"}, "p", {ints("kernel_shape", {3, 3}), ints("pads", {0, 0, 1, 2})})
      .node("AveragePool", {"p"}, "q",
            {ints("kernel_shape", {2, 2}), ints("pads", {1, 1, 1, 1}), onnx_integer("count_include_pad", 1),
             onnx_integer("ceil_mode", 1)})
      .node("MaxPool", {"q"}, "r", {ints("kernel_shape", {2, 3}), onnx_text("auto_pad", "SAME_UPPER")});
  expect_layers(
      graph,
      "  - conv2d: {name: 'c', filters: 4, kernel: [3, 5], stride: 2, dilation: [1, 2], bias: false, padding: "
      "[1, 2]}\n"
      "  - pad: {name: 'p.pad', padding: [0, 1, 0, 2], value: -3e+38}\n"
      "  - max_pool: {name: 'p', kernel: 3, stride: 1}\n"
      "  - average_pool: {name: 'q', kernel: 2, stride: 1, ceil: true, include_padding: true, padding: 1}\n"
      "  - max_pool: {name: 'r', kernel: [2, 3], stride: 1, padding: same}\n");
  const auto one = [](const std::string& op_type, std::vector<OnnxAttribute> attributes) {
    attributes.push_back(ints("kernel_shape", {2, 2}));
    return OnnxGraph().node(op_type, {"x"}, "y", std::move(attributes));
  };
  expect_refused(one("MaxPool", {onnx_text("auto_pad", "SAME_LOWER")}), {"node 'y' (MaxPool)", "SAME_LOWER"});
  expect_refused(one("MaxPool", {ints("dilations", {2, 2})}), {"node 'y' (MaxPool)", "dilations"});
  expect_refused(one("MaxPool", {ints("strides", {2})}), {"two dimensions"});
  expect_refused(one("AveragePool", {ints("pads", {0, 0, 1, 1})}), {"the same padding on both sides"});
  expect_refused(one("MaxPool", {onnx_integer("strange", 1)}), {"node 'y' (MaxPool): attribute 'strange'"});
  expect_bad(one("MaxPool", {onnx_text("ceil_mode", "no")}), {"attribute ceil_mode: expected type 2, found 3"});
}

// [2,3]: outputs, inputs; counted.
TEST(OnnxImport, MatricesInEveryForm) {
  OnnxGraph graph(13, {-1, 3, 1, 1});
  graph.weight("a.weight", {2, 3})
      .weight("b", {2, 5})
      .weight("b_bias", {1, 5})
      .weight("c", {5, 2})
      .weight("c_bias", {2})
      .node("Flatten", {"x"}, "f")
      .node("Gemm", {"f", "a.weight"}, "a", {onnx_integer("transB", 1)})
      .node("Gemm", {"a", "b", "b_bias"}, "bb")
      .node("MatMul", {"bb", "c"}, "m")
      .node("Add", {"c_bias", "m"}, "n");
  expect_layers(graph,
                "  - flatten: {name: 'f'}\n"
                "  - linear: {name: 'a', units: 2, bias: false}\n"
                "  - linear: {name: 'bb', units: 5}\n"
                "  - linear: {name: 'm', units: 2}\n");
  const ForeignModel file = graph.read();
  EXPECT_EQ(file.classes, 2);
  EXPECT_EQ(tensor(file, "a.weight").tensor.values, (Values{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tensor(file, "bb.weight").tensor.values, (Values{1, 6, 2, 7, 3, 8, 4, 9, 5, 10}));
  EXPECT_EQ(tensor(file, "bb.weight").tensor.dims, (Integers{5, 2}));
  EXPECT_EQ(tensor(file, "bb.bias").tensor.dims, Integers{5});
  EXPECT_EQ(tensor(file, "m.weight").tensor.values, (Values{1, 3, 5, 7, 9, 2, 4, 6, 8, 10}));
  EXPECT_EQ(tensor(file, "m.bias").tensor.values, (Values{1, 2}));
  opened_network(file);

  OnnxGraph scaled(13, {-1, 3, 1, 1});
  scaled.weight("w", {3, 2}).node("Flatten", {"x"}, "f").node("Gemm", {"f", "w"}, "y", {onnx_number("alpha", 0.5)});
  expect_refused(scaled, {"node 'y' (Gemm)", "alpha"});
}

// view(x.size(0), -1) with a dynamic batch, mean over H and W, squeeze: what exporters put around the classifier.
TEST(OnnxImport, WaysToFlatten) {
  const auto network = [](const std::function<void(OnnxGraph&)>& flatten) {
    OnnxGraph graph;
    graph.integers("minus_one", {-1}).integers("zero", {0}).integers("pixels", {2, 3}).integers("rows", {0, -1});
    flatten(graph);
    graph.weight("fc.weight", {4, 3 * 8 * 8}).node("Gemm", {"flat", "fc.weight"}, "y", {onnx_integer("transB", 1)});
    return graph;
  };
  const std::string linear = "  - linear: {name: 'fc', units: 4, bias: false}\n",
                    flat = "  - flatten: {name: 'flat'}\n";
  expect_layers(network([](OnnxGraph& graph) { graph.node("Reshape", {"x", "rows"}, "flat"); }), flat + linear);
  expect_layers(network([](OnnxGraph& graph) {
                  graph.node("Shape", {"x"}, "shape")
                      .node("Gather", {"shape", "zero"}, "n")
                      .node("Unsqueeze", {"n", "zero"}, "n1")
                      .node("Concat", {"n1", "minus_one"}, "target", {onnx_integer("axis", 0)})
                      .node("Reshape", {"x", "target"}, "flat");
                }),
                flat + linear);
  expect_layers(network([](OnnxGraph& graph) {
                  graph.node("ReduceMean", {"x"}, "flat", {ints("axes", {-1, -2}), onnx_integer("keepdims", 0)});
                }),
                "  - global_average: {name: 'flat'}\n" + linear);
  expect_layers(network([](OnnxGraph& graph) {
                  graph.node("ReduceMax", {"x", "pixels"}, "m").node("Squeeze", {"m", "pixels"}, "flat");
                }),
                "  - global_max: {name: 'm'}\n" + linear);
  expect_refused(network([](OnnxGraph& graph) {
                   graph.integers("odd", {0, 3, 64}).node("Reshape", {"x", "odd"}, "flat");
                 }),
                 {"node 'flat' (Reshape)"});
  expect_refused(network([](OnnxGraph& graph) { graph.node("Reshape", {"x", "x"}, "flat"); }), {"a constant"});
}

// The matrix behind them sees c,h,w of one image, then c,h,w of the other.
TEST(OnnxImport, FlattenedImagesThatAreJoined) {
  OnnxGraph graph(13, {-1, 2, 2, 1});
  graph.weight("conv.weight", {3, 2, 2, 1})
      .weight("fc.weight", {1, 7})
      .node("Flatten", {"x"}, "a")
      .node("Conv", {"x", "conv.weight"}, "c")
      .node("Flatten", {"c"}, "b")
      .node("Concat", {"a", "b"}, "ab")
      .node("Gemm", {"ab", "fc.weight"}, "y", {onnx_integer("transB", 1)});
  EXPECT_EQ(opened_network(graph.read()).weights.at("fc.weight"), (Values{1, 3, 2, 4, 5, 6, 7}));
}

TEST(OnnxImport, FlattenedImagesOfOtherShapesAreNotAdded) {
  OnnxGraph graph(13, {-1, 2, 2, 1});
  graph.weight("conv.weight", {4, 2, 2, 1})
      .weight("fc.weight", {1, 4})
      .node("Flatten", {"x"}, "a")
      .node("Conv", {"x", "conv.weight"}, "c")
      .node("Flatten", {"c"}, "b")
      .node("Add", {"a", "b"}, "ab")
      .node("Gemm", {"ab", "fc.weight"}, "y", {onnx_integer("transB", 1)});
  expect_error(ExitCode::kConfig, {"layer 'fc' (linear)", "'fc.weight'"}, [&] { opened_network(graph.read()); });
}

// Keras' networks: N,H,W,C outside, transposed inside, and flattened in their own order.
TEST(OnnxImport, ChannelsLast) {
  OnnxGraph graph(13, {-1, 2, 1, 3});
  graph.weight("c.weight", {2, 3, 1, 1})
      .weight("m", {2, 2})
      .weight("fc", {4, 1})
      .node("Transpose", {"x"}, "t", {ints("perm", {0, 3, 1, 2})})
      .node("Conv", {"t", "c.weight"}, "c")
      .node("Transpose", {"c"}, "u", {ints("perm", {0, 2, 3, 1})})
      .node("MatMul", {"u", "m"}, "pointwise")
      .node("Flatten", {"pointwise"}, "f")
      .node("MatMul", {"f", "fc"}, "y");
  expect_layers(graph,
                "  - conv2d: {name: 'c', filters: 2, kernel: 1, stride: 1, bias: false}\n"
                "  - conv2d: {name: 'pointwise', filters: 2, kernel: 1, bias: false}\n"
                "  - flatten: {name: 'f'}\n"
                "  - linear: {name: 'y', units: 1, bias: false}\n");
  const Network network = opened_network(graph.read());
  EXPECT_EQ(network.sample, (Shape{1, 2, 1, 3}));
  EXPECT_EQ(network.weights.at("pointwise.weight"), (Values{1, 3, 2, 4}));
  EXPECT_EQ(network.weights.at("y.weight"), (Values{1, 2, 3, 4}));  // h,w,c, as in the file
  OnnxGraph other(13);
  other.node("Transpose", {"x"}, "y", {ints("perm", {0, 2, 1, 3})});
  expect_refused(other, {"node 'y' (Transpose)"});
}

TEST(OnnxImport, ActivationsOfSeveralNodes) {
  OnnxGraph graph;
  graph.floats("root", {}, {1.41421356F})
      .floats("one", {}, {1})
      .floats("half", {}, {0.5F})
      .floats("zero", {}, {0})
      .floats("six", {}, {6})
      .node("Sigmoid", {"x"}, "s")
      .node("Mul", {"s", "x"}, "silu")
      .node("HardSigmoid", {"silu"}, "h", {onnx_number("alpha", 1.0 / 6)})
      .node("Mul", {"silu", "h"}, "hard_swish")
      .node("Div", {"hard_swish", "root"}, "d")
      .node("Erf", {"d"}, "e")
      .node("Add", {"e", "one"}, "p")
      .node("Mul", {"hard_swish", "p"}, "t")
      .node("Mul", {"t", "half"}, "gelu")
      .node("Clip", {"gelu", "zero", "six"}, "relu6")
      .node("Clip", {"relu6", "zero"}, "relu")
      .node("LeakyRelu", {"relu"}, "leaky", {onnx_number("alpha", 0.2)})
      .node("Sigmoid", {"leaky"}, "gate")
      .node("Mul", {"gate", "relu"}, "gated");
  expect_layers(graph,
                "  - silu: {name: 's'}\n"
                "  - hard_swish: {name: 'h'}\n"
                "  - gelu: {name: 'd'}\n"
                "  - relu6: {name: 'relu6'}\n"
                "  - relu: {name: 'relu'}\n"
                "  - leaky_relu: {name: 'leaky', slope: 0.2}\n"
                "  - sigmoid: {name: 'gate'}\n"
                "  - multiply: {name: 'gated', inputs: ['gate', 'relu']}\n");
  OnnxGraph clip;
  clip.floats("low", {}, {-1}).node("Clip", {"x", "low"}, "y");
  expect_refused(clip, {"node 'y' (Clip)", "expected bounds 0 and 6"});
  OnnxGraph hard;
  hard.node("HardSigmoid", {"x"}, "y");  // 0.2 by default
  expect_refused(hard, {"node 'y' (HardSigmoid)", "1/6"});
}

TEST(OnnxImport, GatesOfOnePixelComeSecond) {
  OnnxGraph graph;
  graph.weight("fc.weight", {3, 3, 1, 1})
      .node("GlobalAveragePool", {"x"}, "mean")
      .node("Conv", {"mean", "fc.weight"}, "fc")
      .node("Sigmoid", {"fc"}, "gate")
      .node("Mul", {"gate", "x"}, "y");
  expect_layers(graph,
                "  - global_average: {name: 'mean'}\n"
                "  - conv2d: {name: 'fc', filters: 3, kernel: 1, stride: 1, bias: false}\n"
                "  - sigmoid: {name: 'gate'}\n"
                "  - multiply: {name: 'y', inputs: ['image', 'gate']}\n");
}

TEST(OnnxImport, ConstantsOfChannelsAreDepthwiseConvolutions) {
  OnnxGraph graph;
  graph.floats("mean", {3, 1, 1}, {1, 2, 3})
      .floats("std", {1, 3, 1, 1}, {1, 2, 4})
      .node("Sub", {"x", "mean"}, "centred")
      .node("Div", {"centred", "std"}, "scaled");
  expect_layers(graph,
                "  - conv2d: {name: 'centred', filters: 3, kernel: 1, groups: 3, bias: true}\n"
                "  - conv2d: {name: 'scaled', filters: 3, kernel: 1, groups: 3, bias: false}\n");
  const ForeignModel file = graph.read();
  EXPECT_EQ(tensor(file, "centred.weight").tensor.values, (Values{1, 1, 1}));
  EXPECT_EQ(tensor(file, "centred.bias").tensor.values, (Values{-1, -2, -3}));
  EXPECT_EQ(tensor(file, "scaled.weight").tensor.values, (Values{1, 0.5, 0.25}));
  OnnxGraph left;
  left.floats("one", {3, 1, 1}, {1, 1, 1}).node("Sub", {"one", "x"}, "y");
  expect_refused(left, {"node 'y' (Sub)", "on its right side"});
  OnnxGraph rows;
  rows.floats("row", {8}, Values(8, 1)).node("Mul", {"x", "row"}, "y");
  expect_refused(rows, {"node 'y' (Mul)", "one number for each channel"});
}

TEST(OnnxImport, Normalisations) {
  OnnxGraph graph(17);
  graph.weight("ln.weight", {3})
      .weight("ln.bias", {3})
      .weight("gn.weight", {3, 1, 1})
      .weight("gn.bias", {3, 1, 1})
      .floats("ones", {3}, {1, 1, 1})
      .floats("zeros", {3}, {0, 0, 0})
      .integers("groups", {0, 3, -1})
      .node("Transpose", {"x"}, "t", {ints("perm", {0, 2, 3, 1})})
      .node("LayerNormalization", {"t", "ln.weight", "ln.bias"}, "ln", {onnx_number("epsilon", 1e-6)})
      .node("Transpose", {"ln"}, "u", {ints("perm", {0, 3, 1, 2})})
      .node("Reshape", {"u", "groups"}, "r")
      .node("InstanceNormalization", {"r", "ones", "zeros"}, "i")
      .node("Shape", {"u"}, "shape")
      .node("Reshape", {"i", "shape"}, "b")
      .node("Mul", {"b", "gn.weight"}, "m")
      .node("Add", {"m", "gn.bias"}, "gn")
      .node("LRN", {"gn"}, "lrn", {onnx_integer("size", 5), onnx_number("bias", 2)});
  expect_layers(graph,
                "  - layer_norm: {name: 'ln', epsilon: 1e-06}\n"
                "  - group_norm: {name: 'gn', groups: 3, epsilon: 1e-05}\n"
                "  - lrn: {name: 'lrn', size: 5, alpha: 1e-04, beta: 0.75, k: 2}\n");
  EXPECT_EQ(tensor(graph.read(), "gn.weight").tensor.dims, Integers{3});
  OnnxGraph image(17);
  image.weight("w", {8}).node("LayerNormalization", {"x", "w"}, "y");
  expect_refused(image, {"node 'y' (LayerNormalization)", "channels"});
}

TEST(OnnxImport, SizesThatChange) {
  OnnxGraph graph;
  graph.floats("scales", {4}, {1, 1, 2, 3})
      .integers("pads", {0, 0, 1, 2, 0, 0, 3, 4})
      .weight("up.weight", {3, 2, 4, 4})
      .node("Pad", {"x", "pads"}, "p")
      .node("Resize", {"p", "", "scales"}, "r",
            {onnx_text("coordinate_transformation_mode", "asymmetric"), onnx_text("nearest_mode", "floor")})
      .node("ConvTranspose", {"r", "up.weight"}, "t", {ints("strides", {2, 2}), ints("pads", {1, 1, 1, 1})});
  expect_layers(graph,
                "  - pad: {name: 'p', padding: [1, 3, 2, 4]}\n"
                "  - upsample: {name: 'r', scale: [2, 3], mode: nearest}\n"
                "  - conv_transpose: {name: 'up', filters: 2, kernel: 4, stride: 2, padding: 1, bias: false}\n");
  OnnxGraph half;
  half.floats("scales", {4}, {1, 1, 0.5, 0.5}).node("Resize", {"x", "", "scales"}, "y");
  expect_refused(half, {"node 'y' (Resize)", "whole factors"});
  OnnxGraph cubic;
  cubic.floats("scales", {4}, {1, 1, 2, 2}).node("Resize", {"x", "", "scales"}, "y", {onnx_text("mode", "cubic")});
  expect_refused(cubic, {"node 'y' (Resize)", "mode cubic"});
}

TEST(OnnxImport, TheFinalSoftmaxIsLeftOutWithANote) {
  OnnxGraph graph;
  graph.node("GlobalAveragePool", {"x"}, "a").node("Flatten", {"a"}, "b").node("Softmax", {"b"}, "y");
  const ForeignModel file = graph.read();
  ASSERT_EQ(file.training_notes.size(), 1U);
  EXPECT_EQ(file.training_notes[0], "the final Softmax is left out: the network ends in logits");
  graph.node("Relu", {"y"}, "z");
  EXPECT_TRUE(graph.read().training_notes.empty());
  OnnxGraph pixel(9);  // where a softmax is over all axes behind the first
  pixel.node("GlobalAveragePool", {"x"}, "a").node("Softmax", {"a"}, "y");
  EXPECT_EQ(pixel.read().training_notes.size(), 1U);
  expect_refused(OnnxGraph(9).node("Softmax", {"x"}, "y"), {"node 'y' (Softmax): expected it over the channels"});
}

TEST(OnnxImport, WhatIsNotNeededIsNotLookedAt) {
  OnnxGraph graph;
  graph.node("Strange", {"x"}, "s").node("Relu", {"x"}, "a").node("Identity", {"a"}, "y");
  expect_layers(graph, "  - relu: {name: 'a'}\n");
}

TEST(OnnxImport, WhatConvoyHasNotIsNamed) {
  expect_refused(OnnxGraph().node("Det", {"x"}, "y"), {"node 'y' (Det): this operator is not supported"});
  expect_refused(OnnxGraph(6).node("Relu", {"x"}, "y"), {"opset 7 or later, found 6"});
  OnnxGraph two;
  two.node("Relu", {"x"}, "y").model.inputs.push_back({"z", OnnxType::kFloat, {}});
  expect_refused(two, {"expected one input", "'x' and 'z'"});
  OnnxGraph flat(13, {-1, 3});
  expect_refused(flat.node("Relu", {"x"}, "y"), {"input 'x': expected 4 dimensions"});
  OnnxGraph norm;
  norm.weight("w", {3}).node("BatchNormalization", {"x", "w", "w", "w", "w"}, "y", {onnx_integer("training_mode", 1)});
  expect_refused(norm, {"node 'y' (BatchNormalization): attribute training_mode"});
  OnnxGraph early;
  early.node("Relu", {"x"}, "a").node("Relu", {"a"}, "b").model.outputs[0].name = "a";
  expect_layers(early, "  - relu: {name: 'a'}\n");
}

TEST(OnnxImport, DamageIsNamed) {
  expect_bad(OnnxGraph(), {"no"});
  expect_bad(OnnxGraph().node("Relu", {"nothing"}, "y"), {"node 'y' (Relu): reads 'nothing'"});
  expect_bad(OnnxGraph().node("Relu", {}, "y"), {"node 'y' (Relu): an input is missing"});
  expect_bad(OnnxGraph().node("Relu", {"y"}, "y"), {"node 'y' (Relu): reads 'y'"});
  expect_bad(OnnxGraph().node("Relu", {"x"}, "y").node("Relu", {"y"}, "y"), {"one node that makes 'y', found two"});
  expect_bad(OnnxGraph().weight("w", {1}).weight("w", {1}).node("Relu", {"x"}, "y"), {"one initializer called 'w'"});
  OnnxGraph classes;
  classes.node("Relu", {"x"}, "y").model.metadata["convoy.classes"] = "{}";
  expect_bad(classes, {"convoy.classes"});
  classes.model.metadata = {{"convoy.preprocessing", "[]"}};
  expect_bad(classes, {"convoy.preprocessing"});
}

// One initializer for many layers must not become many times the file.
TEST(OnnxImport, SharedWeightsAreBounded) {
  OnnxGraph graph(13, {-1, 512, 1, 1});
  graph.weight("w", {512, 512, 1, 1});
  std::string last = "x";
  for (int i = 0; i < 12; ++i) {
    graph.node("Conv", {last, "w"}, "c" + std::to_string(i));
    last = "c" + std::to_string(i);
  }
  expect_bad(graph, {"more memory than the file"});
}

}  // namespace
}  // namespace convoy
