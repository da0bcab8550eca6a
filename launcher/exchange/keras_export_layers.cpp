// Convoy's layers as Keras'.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/base/error.h"
#include "launcher/exchange/keras_exporter.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"

namespace convoy {

using Json = nlohmann::ordered_json;

const std::map<std::string_view, KerasExporter::Write> KerasExporter::kWriters = {
    {"add", &KerasExporter::join},
    {"average_pool", &KerasExporter::average_pool},
    {"batch_norm", &KerasExporter::batch_norm},
    {"concat", &KerasExporter::join},
    {"conv2d", &KerasExporter::conv2d},
    {"dropout", &KerasExporter::dropout},
    {"flatten", &KerasExporter::flatten},
    {"global_average", &KerasExporter::global_pool},
    {"global_max", &KerasExporter::global_pool},
    {"linear", &KerasExporter::linear},
    {"max_pool", &KerasExporter::max_pool},
    {"multiply", &KerasExporter::join},
    {"relu", &KerasExporter::activation},
};

namespace {

template <class T>
const T& as(const Graph::Node& node) {
  return static_cast<const T&>(*node.layer);
}

Json pair(int h, int w) { return Json::array({h, w}); }

// As people write it: 0.001, not 0.0010000000474974513.
double decimal(float value) {
  double out = 0;
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  std::from_chars(text.data(), end, out);
  return out;
}

}  // namespace

void KerasExporter::conv2d(const Node& node) {
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

// One called after the layer before it, "conv1.relu" after "conv1", is its `activation`, as it was when it came.
void KerasExporter::activation(const Node& node) {
  const std::string type = node.layer->type();
  const size_t input = as_it_is(node.inputs[0]);
  KerasLayerOut& before = layers_[input];
  const Node* maker = nodes_[input];
  const bool belongs = maker != nullptr && node.name == maker->name + "." + type && maker->output == node.inputs[0] &&
                       before.config.contains("activation") && before.config["activation"] == "linear" &&
                       graph_.only_reader(node.inputs[0]) >= 0;
  if (belongs) {
    before.config["activation"] = type;
    made_by_[static_cast<size_t>(node.output.index)] = input;
    return;
  }
  emit_node(node, "ReLU", Json::object(), input, before.dims);
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
  if (input != before) refuse(node, "its padding is neither `same` nor none");
  const Json config = {{"pool_size", pair(window.kernel_h, window.kernel_w)},
                       {"padding", padding},
                       {"strides", pair(window.stride_h, window.stride_w)}};
  emit_node(node, "AveragePooling2D", config, input, image_dims(node.output));
}

void KerasExporter::global_pool(const Node& node) {
  const bool average = node.layer->type() == "global_average";
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
