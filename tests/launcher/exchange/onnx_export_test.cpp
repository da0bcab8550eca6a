#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/base/testing.h"
#include "tests/launcher/exchange/onnx_model.h"

namespace convoy {
namespace {

using Integers = std::vector<int64_t>;
using Values = std::vector<float>;

std::vector<std::string> op_types(const OnnxModel& model) {
  std::vector<std::string> types;
  for (const OnnxNode& node : model.nodes) types.push_back(node.op_type);
  return types;
}

const OnnxTensor& initializer(const OnnxModel& model, const std::string& name) {
  const auto found = std::ranges::find(model.initializers, name, &OnnxTensor::name);
  if (found == model.initializers.end()) throw std::out_of_range(name);
  return *found;
}

const OnnxNode& node(const OnnxModel& model, const std::string& name) {
  const auto found = std::ranges::find(model.nodes, name, &OnnxNode::name);
  if (found == model.nodes.end()) throw std::out_of_range(name);
  return *found;
}

const OnnxAttribute& attribute(const OnnxNode& node, const std::string& name) {
  const auto found = std::ranges::find(node.attributes, name, &OnnxAttribute::name);
  if (found == node.attributes.end()) throw std::out_of_range(name);
  return *found;
}

constexpr const char* kLeNet = R"(
classes: 3
layers:
  - conv2d: {name: conv1, filters: 2, kernel: [1, 2], bias: false}
  - batch_norm: {name: bn1, momentum: 0.25}
  - relu: {name: relu1}
  - max_pool: {name: pool1, kernel: 2, stride: 1, padding: 1}
  - dropout: {rate: 0.5}
  - flatten
  - linear: {name: fc, units: 3}
)";

TEST(OnnxExport, IsWhatPyTorchWouldExport) {
  const OnnxModel model = to_onnx(counting_network(kLeNet, {1, 1, 4, 2}), {});
  EXPECT_EQ(op_types(model),
            (std::vector<std::string>{"Conv", "BatchNormalization", "Relu", "MaxPool", "Flatten", "Gemm"}));
  EXPECT_EQ(model.opset, 13);
  EXPECT_EQ(model.ir_version, 7);
  ASSERT_EQ(model.inputs.size(), 1U);
  EXPECT_EQ(model.inputs[0].name, "image");
  const std::vector<OnnxValue::Dim>& dims = *model.inputs[0].dims;
  EXPECT_EQ(dims.at(0).parameter, "N");
  EXPECT_EQ((Integers{dims.at(1).value, dims.at(2).value, dims.at(3).value}), (Integers{2, 1, 4}));
  ASSERT_EQ(model.outputs.size(), 1U);
  EXPECT_EQ(model.outputs[0].name, "logits");
  EXPECT_EQ(model.nodes.back().outputs, std::vector<std::string>{"logits"});
  EXPECT_EQ(model.outputs[0].dims->at(1).value, 3);

  EXPECT_EQ(node(model, "conv1").inputs, (std::vector<std::string>{"image", "conv1.weight"}));
  EXPECT_EQ(attribute(node(model, "conv1"), "kernel_shape").integers, (Integers{1, 2}));
  EXPECT_EQ(attribute(node(model, "pool1"), "pads").integers, (Integers{1, 1, 1, 1}));
  EXPECT_EQ(attribute(node(model, "bn1"), "momentum").number, 0.75F);
  EXPECT_EQ(node(model, "bn1").inputs,
            (std::vector<std::string>{"conv1", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"}));

  // [O,1,2,I] counted o,x,i becomes [O,I,1,2].
  EXPECT_EQ(initializer(model, "conv1.weight").dims, (Integers{2, 2, 1, 2}));
  EXPECT_EQ(initializer(model, "conv1.weight").values, (Values{1, 3, 2, 4, 5, 7, 6, 8}));
  // 2x4 pixels of 2 channels, counted y,x,c, become c,y,x.
  const OnnxTensor& fc = initializer(model, "fc.weight");
  EXPECT_EQ(fc.dims, (Integers{3, 16}));
  EXPECT_EQ(Values(fc.values.begin(), fc.values.begin() + 16),
            (Values{1, 3, 5, 7, 9, 11, 13, 15, 2, 4, 6, 8, 10, 12, 14, 16}));
}

TEST(OnnxExport, ProbabilitiesAreASoftmax) {
  const OnnxModel model = to_onnx(counting_network(kLeNet, {1, 1, 4, 2}), {.probabilities = true});
  EXPECT_EQ(op_types(model).back(), "Softmax");
  EXPECT_EQ(model.outputs[0].name, "probabilities");
  EXPECT_EQ(attribute(model.nodes.back(), "axis").integer, 1);
}

// Padding of TensorFlow's kind depends on the input: 2 of 8 pixels in steps of 3 by a window of 4 are 1 above, 2 below.
TEST(OnnxExport, SamePaddingIsWrittenOut) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 1
layers:
  - conv2d: {name: c, filters: 1, kernel: 4, stride: 3, padding: same, dilation: 1, groups: 1}
  - global_average
)",
                                                   {1, 7, 8, 1}),
                                  {});
  EXPECT_EQ(attribute(node(model, "c"), "pads").integers, (Integers{1, 1, 2, 1}));
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"Conv", "GlobalAveragePool", "Flatten"}));
}

// Rounding up is written out as padding, which neither the largest element nor an average without padding sees.
TEST(OnnxExport, PoolsThatRoundUp) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 1
layers:
  - max_pool: {name: a, kernel: 3, stride: 2, ceil: true}
  - average_pool: {name: b, kernel: 2, stride: 1, padding: 1, include_padding: true}
  - average_pool: {name: c, kernel: 3, stride: 2, padding: 1, include_padding: true, ceil: true}
  - global_average
)",
                                                   {1, 7, 8, 1}),
                                  {});
  EXPECT_EQ(op_types(model),
            (std::vector<std::string>{"MaxPool", "AveragePool", "Pad", "AveragePool", "GlobalAveragePool", "Flatten"}));
  EXPECT_EQ(attribute(node(model, "a"), "pads").integers, (Integers{0, 0, 0, 1}));  // 7x8 → 3x4
  EXPECT_EQ(attribute(node(model, "b"), "pads").integers, (Integers{1, 1, 1, 1}));  // → 4x5
  EXPECT_EQ(attribute(node(model, "b"), "count_include_pad").integer, 1);
  EXPECT_EQ(initializer(model, "c.pads").integers, (Integers{0, 0, 1, 1, 0, 0, 1, 1}));  // → 3x3
  EXPECT_EQ(attribute(node(model, "c"), "pads").integers, (Integers{0, 0, 1, 0}));
  EXPECT_EQ(attribute(node(model, "c"), "count_include_pad").integer, 0);
}

TEST(OnnxExport, ActivationsOfSeveralNodes) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 3
layers:
  - silu: {name: a}
  - gelu: {name: b}
  - gelu: {name: c, approximate: tanh}
  - hard_swish: {name: d}
  - batch_norm: {name: e, scale: false, shift: false}
  - global_average
)",
                                                   {1, 2, 3, 3}),
                                  {});
  EXPECT_EQ(model.opset, 14);
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"Sigmoid",
                                                       "Mul",
                                                       "Div",
                                                       "Erf",
                                                       "Add",
                                                       "Mul",
                                                       "Mul",
                                                       "Mul",
                                                       "Mul",
                                                       "Mul",
                                                       "Add",
                                                       "Mul",
                                                       "Tanh",
                                                       "Add",
                                                       "Mul",
                                                       "Mul",
                                                       "HardSwish",
                                                       "BatchNormalization",
                                                       "GlobalAveragePool",
                                                       "Flatten"}));
  EXPECT_EQ(initializer(model, "e.weight").values, (Values{1, 1, 1}));
  EXPECT_EQ(initializer(model, "e.bias").values, (Values{0, 0, 0}));
}

TEST(OnnxExport, BatchNormIsFoldedWhereAsked) {
  const OnnxModel model = to_onnx(counting_network(kLeNet, {1, 1, 4, 2}), {.fold_batch_norm = true});
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"Conv", "Relu", "MaxPool", "Flatten", "Gemm"}));
  EXPECT_EQ(node(model, "conv1").inputs.size(), 3U);
}

// Means over windows of any sizes are products with two matrices.
TEST(OnnxExport, AdaptivePoolsAreMatrices) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 2
layers:
  - adaptive_average_pool: {name: a, size: [1, 2]}
  - stochastic_depth: {rate: 0.5}
  - flatten
)",
                                                   {1, 2, 3, 1}),
                                  {});
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"MatMul", "MatMul", "Flatten"}));
  EXPECT_EQ(initializer(model, "a.rows").values, (Values{0.5, 0.5}));
  EXPECT_EQ(initializer(model, "a.columns").values, (Values{0.5, 0, 0.5, 0.5, 0, 0.5}));
}

// A reader that is no linear layer sees the order of elements, so it must be ours, and no weights move.
TEST(OnnxExport, FlattenedImagesThatAreJoinedKeepOurOrder) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 1
layers:
  - flatten: {name: a}
  - relu: {name: b}
  - concat: {name: c, inputs: [a, b]}
  - linear: {name: fc, units: 1, bias: false}
)",
                                                   {1, 2, 1, 2}),
                                  {});
  EXPECT_EQ(op_types(model), (std::vector<std::string>{"Transpose", "Flatten", "Relu", "Concat", "Gemm"}));
  EXPECT_EQ(initializer(model, "fc.weight").values, (Values{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(OnnxExport, PixelsAndVectorsMeet) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 2
layers:
  - global_average: {name: a}
  - flatten: {name: b}
  - add: {name: c, inputs: [a, b]}
  - conv2d: {name: d, filters: 2, kernel: 1}
)",
                                                   {1, 2, 1, 2}),
                                  {});
  EXPECT_EQ(op_types(model),
            (std::vector<std::string>{"GlobalAveragePool", "Flatten", "Reshape", "Add", "Conv", "Flatten"}));
}

TEST(OnnxExport, NamesOfTheEndsAreTheirs) {
  const OnnxModel model = to_onnx(counting_network(R"(
classes: 1
layers:
  - flatten: {name: logits}
  - linear: {name: image.flat, units: 1}
  - relu: {name: logits_}
)",
                                                   {1, 1, 1, 2}),
                                  {});
  EXPECT_EQ(model.outputs[0].name, "logits");
  std::set<std::string> names;
  for (const OnnxNode& node : model.nodes) EXPECT_TRUE(names.insert(node.outputs.front()).second);
  EXPECT_EQ(names.count("logits"), 1U);
}

// ---- There and back

void expect_round_trip(const std::string& yaml, const Shape& sample) {
  Network network = counting_network(yaml, sample);
  network.config.name = "network";
  network.preprocessing = named_preprocessing("caffe");
  network.class_names = std::vector<std::string>(static_cast<size_t>(network.config.classes), "a \"name\" é");
  const std::string file = format_onnx(to_onnx(network, {}));
  Network again = opened_network(from_onnx(parse_onnx(std::as_bytes(std::span(file)), "m.onnx"), "m.onnx"));
  EXPECT_EQ(again.class_names, network.class_names);
  ASSERT_TRUE(again.preprocessing.has_value());
  EXPECT_EQ(to_json(*again.preprocessing), to_json(*network.preprocessing));
  EXPECT_EQ(again.sample, network.sample);
  for (const auto& [name, values] : network.weights) {
    ASSERT_TRUE(again.weights.contains(name)) << name;
    EXPECT_EQ(again.weights.at(name), values) << name;
  }
  again.config.name = "network";
  EXPECT_EQ(format_onnx(to_onnx(again, {})), file);
}

TEST(OnnxExport, IsReadAgainAsTheSameNetwork) {
  expect_round_trip(kLeNet, {1, 1, 4, 2});
  expect_round_trip(R"(
classes: 3
layers:
  - conv2d: {name: layer1.0.conv1, filters: 4, kernel: 3, padding: [1, 0], stride: [1, 2], groups: 2, dilation: [1, 2]}
  - relu: {name: r}
  - average_pool: {name: a, kernel: 2, stride: 1}
  - conv2d: {name: b, input: r, filters: 4, kernel: 2}
  - add: {name: c, inputs: [a, b]}
  - concat: {name: d, inputs: [c, a, c]}
  - global_average: {name: e}
  - flatten: {name: f}
  - linear: {name: g, units: 5, bias: false}
  - batch_norm: {name: h}
  - linear: {name: i, units: 3}
)",
                    {1, 9, 12, 4});
  expect_round_trip(R"(
classes: 4
layers:
  - pad: {name: a, padding: [1, 2, 3, 4], value: 0.5}
  - group_norm: {name: b, groups: 2, epsilon: 0.001}
  - layer_norm: {name: c}
  - global_average: {name: d}
  - flatten: {name: e}
  - layer_norm: {name: f, epsilon: 1e-06}
)",
                    {1, 2, 3, 4});
  expect_round_trip(R"(
classes: 3
layers:
  - sigmoid: {name: a}
  - tanh: {name: b}
  - hard_sigmoid: {name: c}
  - hard_swish: {name: d}
  - relu6: {name: e}
  - leaky_relu: {name: f, slope: 0.25}
  - elu: {name: g, alpha: 0.5}
  - upsample: {name: h, scale: [2, 3]}
  - upsample: {name: i, scale: 2, mode: bilinear}
  - lrn: {name: j, size: 3, alpha: 0.5, beta: 0.5, k: 2}
  - global_average: {name: k}
)",
                    {1, 2, 3, 3});
  expect_round_trip(R"(
classes: 4
layers:
  - conv_transpose: {name: a, filters: 4, kernel: [2, 3], stride: 2, padding: [0, 1], output_padding: 1, bias: false}
  - conv_transpose: {name: b, filters: 4, kernel: 3}
  - softmax: {name: c}
  - global_max: {name: d}
  - sigmoid: {name: e}
  - multiply: {name: f, inputs: [c, e]}
  - global_average: {name: g}
)",
                    {1, 2, 3, 3});
}

TEST(OnnxExport, FilesAreWrittenAndRead) {
  const TempDirectory temp;
  const Network network = counting_network(kLeNet, {1, 1, 4, 2});
  write_onnx_model(temp / "m.onnx", network, {});
  const ForeignModel file = read_onnx_model(temp / "m.onnx");
  EXPECT_EQ(file.format, "ONNX, opset 13, by convoy");
  EXPECT_EQ(file.classes, 3);
  EXPECT_EQ(opened_network(file).weights, network.weights);
  expect_error(ExitCode::kCannotCreate, {temp.path()}, [&] { write_onnx_model(temp.path(), network, {}); });
  expect_error(ExitCode::kNoInput, {"none.onnx"}, [&] { read_onnx_model(temp / "none.onnx"); });
}

}  // namespace
}  // namespace convoy
