// Convoy's layers as Keras'.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "launcher/exchange/keras_exporter.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"

namespace convoy {

using Json = nlohmann::ordered_json;

const std::map<std::string_view, KerasExporter::Write> KerasExporter::kWriters = {
    {"adaptive_average_pool", &KerasExporter::adaptive_pool},
    {"add", &KerasExporter::join},
    {"average_pool", &KerasExporter::average_pool},
    {"batch_norm", &KerasExporter::batch_norm},
    {"concat", &KerasExporter::join},
    {"conv2d", &KerasExporter::conv2d},
    {"conv_transpose", &KerasExporter::conv_transpose},
    {"dropout", &KerasExporter::dropout},
    {"elu", &KerasExporter::activation},
    {"flatten", &KerasExporter::flatten},
    {"gelu", &KerasExporter::activation},
    {"global_average", &KerasExporter::global_pool},
    {"global_max", &KerasExporter::global_pool},
    {"group_norm", &KerasExporter::norm},
    {"hard_sigmoid", &KerasExporter::activation},
    {"hard_swish", &KerasExporter::activation},
    {"layer_norm", &KerasExporter::norm},
    {"leaky_relu", &KerasExporter::activation},
    {"linear", &KerasExporter::linear},
    {"max_pool", &KerasExporter::max_pool},
    {"multiply", &KerasExporter::join},
    {"pad", &KerasExporter::pad},
    {"relu", &KerasExporter::activation},
    {"relu6", &KerasExporter::activation},
    {"sigmoid", &KerasExporter::activation},
    {"silu", &KerasExporter::activation},
    {"softmax", &KerasExporter::softmax},
    {"stochastic_depth", &KerasExporter::stochastic_depth},
    {"tanh", &KerasExporter::activation},
    {"upsample", &KerasExporter::upsample},
};

namespace {

template <class T>
const T& as(const Graph::Node& node) {
  return static_cast<const T&>(*node.layer);
}

Json pair(int h, int w) { return Json::array({h, w}); }

// A separable convolution of Keras is two layers here, "x.depthwise" and "x.pointwise".
std::string separable_name(const Graph::Node& pointwise) {
  constexpr std::string_view kEnd = ".pointwise";
  const std::string& name = pointwise.name;
  return name.ends_with(kEnd) ? name.substr(0, name.size() - kEnd.size()) : name;
}

// As people write it: 0.001, not 0.0010000000474974513.
double decimal(float value) {
  double out = 0;
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  std::from_chars(text.data(), end, out);
  return out;
}

}  // namespace

const Graph::Node* KerasExporter::depthwise_before(const Node& node) const {
  const Node* before = producer(node.inputs[0]);
  if (before == nullptr || before->layer->type() != Conv2d::kType || graph_.only_reader(before->output) < 0)
    return nullptr;
  const std::string name = separable_name(node);
  if (name == node.name || before->name != name + ".depthwise" || before->frozen != node.frozen) return nullptr;
  const Conv2dOptions &first = as<Conv2d>(*before).options(), &second = as<Conv2d>(node).options();
  const Shape &middle = graph_.shape(before->output), &output = graph_.shape(node.output);
  const bool depthwise = first.groups == graph_.shape(before->inputs[0]).c && !first.bias;
  const bool pointwise = second.groups == 1 && second.window.kernel_h == 1 && second.window.kernel_w == 1 &&
                         middle.h == output.h && middle.w == output.w;
  return depthwise && pointwise && first.window.stride_h == first.window.stride_w ? before : nullptr;
}

void KerasExporter::separable_conv2d(const Node& depthwise, const Node& pointwise) {
  const Conv2dOptions &first = as<Conv2d>(depthwise).options(), &second = as<Conv2d>(pointwise).options();
  const Window& window = first.window;
  const int channels = graph_.shape(depthwise.inputs[0]).c, multiplier = first.filters / channels;
  size_t input = as_image(depthwise.inputs[0]);
  const std::string padding = padding_word(depthwise, window, input);
  const Json config = {{"filters", second.filters},
                       {"kernel_size", pair(window.kernel_h, window.kernel_w)},
                       {"strides", pair(window.stride_h, window.stride_w)},
                       {"padding", padding},
                       {"dilation_rate", pair(window.dilation_h, window.dilation_w)},
                       {"depth_multiplier", multiplier},
                       {"activation", "linear"},
                       {"use_bias", second.bias}};
  emit_node(pointwise, separable_name(pointwise), "SeparableConv2D", config, input, image_dims(pointwise.output));
  add_weights(depthwise, {{"depthwise_kernel", "weight"}});
  layers_.back().weights.front().second.dims = {window.kernel_h, window.kernel_w, channels, multiplier};
  add_weights(pointwise, {{"pointwise_kernel", "weight"}, {"bias", "bias"}});
}

void KerasExporter::conv2d(const Node& node) {
  if (const Node* before = depthwise_before(node)) return separable_conv2d(*before, node);
  const int reader = graph_.only_reader(node.output);
  if (reader >= 0) {
    const Node& next = graph_.nodes()[static_cast<size_t>(reader)];
    if (next.layer->type() == Conv2d::kType && depthwise_before(next) == &node) return;  // written with that
  }
  const Conv2dOptions& options = as<Conv2d>(node).options();
  const Window& window = options.window;
  const int channels = graph_.shape(node.inputs[0]).c;
  size_t input = as_image(node.inputs[0]);
  const std::string padding = padding_word(node, window, input);
  const bool depthwise = options.groups == channels && channels > 1;
  Json config = Json::object();
  if (depthwise) {
    config["depth_multiplier"] = options.filters / channels;
  } else {
    config["filters"] = options.filters;
  }
  config["kernel_size"] = pair(window.kernel_h, window.kernel_w);
  config["strides"] = pair(window.stride_h, window.stride_w);
  config["padding"] = padding;
  config["dilation_rate"] = pair(window.dilation_h, window.dilation_w);
  if (!depthwise && options.groups != 1) config["groups"] = options.groups;  // Keras 2 learnt it late
  config["activation"] = "linear";
  config["use_bias"] = options.bias;
  emit_node(node, depthwise ? "DepthwiseConv2D" : "Conv2D", config, input, image_dims(node.output));
  add_weights(node, {{"kernel", "weight"}, {"bias", "bias"}});
  if (!depthwise) return;
  HostTensor& kernel = layers_.back().weights.front().second;
  kernel.dims = {window.kernel_h, window.kernel_w, channels, options.filters / channels};
}

// `same` makes input · stride of an input, `valid` (input - 1) · stride + kernel and, unless told otherwise, zeros to
// at least input · stride.
void KerasExporter::conv_transpose(const Node& node) {
  const ConvTransposeOptions& options = as<ConvTranspose>(node).options();
  const Window& window = options.window;
  const Shape& x = graph_.shape(node.inputs[0]);
  ConvTransposeOptions same = options;
  same.window.padding = Padding::same();
  same.output_padding_h = same.output_padding_w = 0;
  const WindowAxes has = as<ConvTranspose>(node).axes(x), with_same = ConvTranspose(same).axes(x);
  const auto equal = [](const WindowAxis& a, const WindowAxis& b) { return a.low == b.low && a.input == b.input; };
  const bool is_same = equal(has.h, with_same.h) && equal(has.w, with_same.w);
  // What lies behind the last window; of the axis of the convolution from y to x.
  const auto behind = [](const WindowAxis& axis) {
    return axis.input - ((axis.output - 1) * axis.stride + axis.kernel);
  };
  const auto is_valid = [&](const WindowAxis& axis) {
    return axis.low == 0 && behind(axis) >= 0 && behind(axis) < axis.stride;
  };
  if (!is_same && !(is_valid(has.h) && is_valid(has.w))) refuse(node, "its padding is neither `same` nor none");
  Json config = {{"filters", options.filters},
                 {"kernel_size", pair(window.kernel_h, window.kernel_w)},
                 {"strides", pair(window.stride_h, window.stride_w)},
                 {"padding", is_same ? "same" : "valid"},
                 {"activation", "linear"},
                 {"use_bias", options.bias}};
  const auto usual = [&](const WindowAxis& axis) { return behind(axis) == std::max(axis.stride - axis.kernel, 0); };
  if (!is_same && !(usual(has.h) && usual(has.w))) config["output_padding"] = pair(behind(has.h), behind(has.w));
  emit_node(node, "Conv2DTranspose", config, as_image(node.inputs[0]), image_dims(node.output));
  add_weights(node, {{"kernel", "weight"}, {"bias", "bias"}});
}

void KerasExporter::linear(const Node& node) {
  const LinearOptions& options = as<Linear>(node).options();
  const Json config = {{"units", options.units}, {"activation", "linear"}, {"use_bias", options.bias}};
  emit_node(node, "Dense", config, as_vector(node.inputs[0]), {options.units});
  add_weights(node, {{"kernel", "weight"}, {"bias", "bias"}});
}

// Frozen, it infers in Keras, in training, too.
void KerasExporter::batch_norm(const Node& node) {
  const BatchNormOptions& options = as<BatchNorm>(node).options();
  const Json config = {{"momentum", decimal(1 - options.momentum)},
                       {"epsilon", decimal(options.epsilon)},
                       {"center", places_.contains(node.name + ".bias")},
                       {"scale", places_.contains(node.name + ".weight")}};
  const size_t input = as_it_is(node.inputs[0]);
  emit_node(node, "BatchNormalization", config, input, layers_[input].dims);
  add_weights(node, {{"gamma", "weight"},
                     {"beta", "bias"},
                     {"moving_mean", "running_mean"},
                     {"moving_variance", "running_variance"}});
}

// Keras' name of a function without parameters; "" for the others, which are layers of their own.
static std::string function_name(const std::string& type) {
  static const std::map<std::string, std::string> kNames = {{"gelu", "gelu"},
                                                            {"hard_sigmoid", "hard_sigmoid"},
                                                            {"hard_swish", "hard_silu"},
                                                            {"relu", "relu"},
                                                            {"relu6", "relu6"},
                                                            {"sigmoid", "sigmoid"},
                                                            {"silu", "silu"},
                                                            {"tanh", "tanh"}};
  const auto found = kNames.find(type);
  return found == kNames.end() ? "" : found->second;
}

// One called after the layer before it, "conv1.relu" after "conv1", is its `activation`, as it was when it came.
void KerasExporter::activation(const Node& node) {
  const std::string type = node.layer->type(), function = function_name(type);
  const size_t input = as_it_is(node.inputs[0]);
  const std::vector<int> dims = layers_[input].dims;
  const Node* maker = nodes_[input];
  const bool separable = layers_[input].class_name == "SeparableConv2D";
  Json& before = layers_[input].config;
  const bool belongs = maker != nullptr &&
                       node.name == (separable ? separable_name(*maker) : maker->name) + "." + type &&
                       maker->output == node.inputs[0] && before.contains("activation") &&
                       before["activation"] == "linear" && !function.empty() && graph_.only_reader(node.inputs[0]) >= 0;
  if (type != "relu" && std::holds_alternative<GeluTanhFunction>(as<Activation>(node).function())) {
    refuse(node, "its gelu is the exact one");
  }
  if (belongs) {
    before["activation"] = function;
    made_by_[static_cast<size_t>(node.output.index)] = input;
  } else if (type == "relu") {
    emit_node(node, "ReLU", Json::object(), input, dims);
  } else if (type == "relu6") {
    emit_node(node, "ReLU", {{"max_value", 6.0}}, input, dims);
  } else if (type == "elu") {
    const double alpha = decimal(std::get<EluFunction>(as<Activation>(node).function()).alpha);
    emit_node(node, "ELU", {{"alpha", alpha}}, input, dims);
  } else if (type == "leaky_relu") {
    const double slope = decimal(std::get<LeakyReluFunction>(as<Activation>(node).function()).negative);
    emit_node(node, "LeakyReLU", {{"negative_slope", slope}}, input, dims);
  } else {
    emit_node(node, "Activation", {{"activation", function}}, input, dims);
  }
}

void KerasExporter::softmax(const Node& node) {
  const size_t input = as_it_is(node.inputs[0]);
  emit_node(node, "Softmax", Json::object(), input, layers_[input].dims);
}

void KerasExporter::norm(const Node& node) {
  const bool group = node.layer->type() == "group_norm";
  const size_t input = group ? as_image(node.inputs[0]) : as_it_is(node.inputs[0]);
  Json config = {{"epsilon", decimal(group ? as<GroupNorm>(node).options().epsilon : as<LayerNorm>(node).epsilon())}};
  if (group) config["groups"] = as<GroupNorm>(node).options().groups;
  emit_node(node, group ? "GroupNormalization" : "LayerNormalization", config, input, layers_[input].dims);
  add_weights(node, {{"gamma", "weight"}, {"beta", "bias"}});
}

void KerasExporter::pad(const Node& node) {
  const PadOptions& options = as<Pad>(node).options();
  if (options.value != 0) refuse(node, "it pads with zeros only");
  const Json padding = Json::array({pair(options.top, options.bottom), pair(options.left, options.right)});
  emit_node(node, "ZeroPadding2D", {{"padding", padding}}, as_image(node.inputs[0]), image_dims(node.output));
}

void KerasExporter::upsample(const Node& node) {
  const UpsampleOptions& options = as<Upsample>(node).options();
  const Json config = {{"size", pair(options.scale_h, options.scale_w)},
                       {"interpolation", options.bilinear ? "bilinear" : "nearest"}};
  emit_node(node, "UpSampling2D", config, as_image(node.inputs[0]), image_dims(node.output));
}

// Dropout with one draw for a whole sample.
void KerasExporter::stochastic_depth(const Node& node) {
  const size_t input = as_it_is(node.inputs[0]);
  Json shape = {nullptr};
  for (size_t i = 0; i < layers_[input].dims.size(); ++i) shape.push_back(1);
  const Json config = {{"rate", decimal(as<StochasticDepth>(node).rate())}, {"noise_shape", shape}};
  emit_node(node, "Dropout", config, input, layers_[input].dims);
}

// Zeros around an image lose against what is never negative as -inf would.
void KerasExporter::max_pool(const Node& node) {
  const Window& window = as<MaxPool>(node).window();
  size_t input = as_image(node.inputs[0]);
  const size_t before = input;
  const std::string padding = padding_word(node, window, input);
  if (input != before && !never_negative(node.inputs[0])) {
    refuse(node, "its padding is neither `same` nor none, and its input may be negative");
  }
  const Json config = {{"pool_size", pair(window.kernel_h, window.kernel_w)},
                       {"padding", padding},
                       {"strides", pair(window.stride_h, window.stride_w)}};
  emit_node(node, "MaxPooling2D", config, input, image_dims(node.output));
}

void KerasExporter::average_pool(const Node& node) {
  const Window& window = as<AveragePool>(node).window();
  size_t input = as_image(node.inputs[0]);
  const size_t before = input;
  const std::string padding = padding_word(node, window, input);
  const bool counts = as<AveragePool>(node).include_padding() && padding != "valid";
  if (input != before || counts) refuse(node, "its padding is neither `same` nor none, or counts");
  const Json config = {{"pool_size", pair(window.kernel_h, window.kernel_w)},
                       {"padding", padding},
                       {"strides", pair(window.stride_h, window.stride_w)}};
  emit_node(node, "AveragePooling2D", config, input, image_dims(node.output));
}

// Nothing at all, a pool over everything or one without overlap; others Keras has not.
void KerasExporter::adaptive_pool(const Node& node) {
  const Shape &x = graph_.shape(node.inputs[0]), &y = graph_.shape(node.output);
  if (x == y) {
    made_by_[static_cast<size_t>(node.output.index)] = as_it_is(node.inputs[0]);
  } else if (y.h == 1 && y.w == 1) {
    global_pool(node);
  } else if (x.h % y.h == 0 && x.w % y.w == 0) {
    const Json size = pair(x.h / y.h, x.w / y.w);
    const Json config = {{"pool_size", size}, {"padding", "valid"}, {"strides", size}};
    emit_node(node, "AveragePooling2D", config, as_image(node.inputs[0]), image_dims(node.output));
  } else {
    refuse(node, "its input of " + std::to_string(x.h) + "x" + std::to_string(x.w) + " is no multiple of its output");
  }
}

void KerasExporter::global_pool(const Node& node) {
  const bool average = node.layer->type() != "global_max";
  const bool keep = read_as_image(node.output);
  const int channels = graph_.shape(node.output).c;
  const Json config = keep ? Json{{"keepdims", true}} : Json::object();
  emit_node(node, average ? "GlobalAveragePooling2D" : "GlobalMaxPooling2D", config, as_image(node.inputs[0]),
            keep ? std::vector<int>{1, 1, channels} : std::vector<int>{channels});
}

void KerasExporter::dropout(const Node& node) {
  const size_t input = as_it_is(node.inputs[0]);
  emit_node(node, "Dropout", {{"rate", decimal(as<Dropout>(node).rate())}}, input, layers_[input].dims);
}

void KerasExporter::flatten(const Node& node) {
  emit_node(node, "Flatten", Json::object(), as_it_is(node.inputs[0]), {graph_.shape(node.output).c});
}

void KerasExporter::join(const Node& node) {
  static const std::map<std::string, std::string> kClasses = {
      {"add", "Add"}, {"concat", "Concatenate"}, {"multiply", "Multiply"}};
  const bool vectors = std::ranges::all_of(node.inputs, [&](ValueId value) { return is_vector(value); });
  std::vector<size_t> inputs;
  for (const ValueId value : node.inputs) inputs.push_back(vectors ? as_it_is(value) : as_image(value));
  const std::string class_name = kClasses.at(node.layer->type());
  const std::vector<int> dims = vectors ? std::vector<int>{graph_.shape(node.output).c} : image_dims(node.output);
  const Json config = class_name == "Concatenate" ? Json{{"axis", -1}} : Json::object();
  const size_t layer = emit(class_name, node.name, config, std::move(inputs), dims);
  nodes_[layer] = &node;
  made_by_[static_cast<size_t>(node.output.index)] = layer;
}

}  // namespace convoy
