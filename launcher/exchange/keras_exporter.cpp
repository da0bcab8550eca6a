#include "launcher/exchange/keras_exporter.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/error.h"

namespace convoy {

using Json = nlohmann::ordered_json;

KerasExporter::KerasExporter(const Network& network) : network_(network), graph_(network.model.graph) {
  for (WeightPlace& place : weight_places(graph_)) places_.emplace(place.name, std::move(place));
  made_by_.resize(static_cast<size_t>(graph_.values()));
}

const std::vector<KerasLayerOut>& KerasExporter::run(bool probabilities) {
  const Shape& sample = network_.sample;
  emit("InputLayer", "input_layer", Json::object(), {}, {sample.h, sample.w, sample.c});
  for (const Node& node : graph_.nodes()) {
    const auto write = kWriters.find(node.layer->type());
    if (write == kWriters.end()) refuse(node, "Keras has no such layer");
    (this->*write->second)(node);
  }
  size_t end = as_it_is(network_.model.logits);
  const Shape& logits = graph_.shape(network_.model.logits);
  if (logits.h == 1 && logits.w == 1) end = as_vector(network_.model.logits);
  if (probabilities && layers_[end].config.value("activation", "") == "linear") {
    layers_[end].config["activation"] = "softmax";
  } else if (probabilities) {
    end = emit("Softmax", "softmax", Json::object(), {end}, layers_[end].dims);
  }
  CHECK(end + 1 == layers_.size());
  return layers_;
}

void KerasExporter::refuse(const Node& node, const std::string& why) const {
  throw Error(ExitCode::kConfig,
              "layer '" + node.name + "' (" + node.layer->type() + ") cannot be written for Keras: " + why);
}

// Keras with PyTorch below allows no '.' in a name, and no Keras '/'.
size_t KerasExporter::emit(const std::string& class_name, const std::string& name, Json config,
                           std::vector<size_t> inputs, std::vector<int> dims) {
  std::string legal = name;
  std::ranges::replace(legal, '.', '_');
  layers_.push_back({class_name, names_.take(legal), std::move(config), std::move(inputs), std::move(dims)});
  nodes_.push_back(nullptr);
  return layers_.size() - 1;
}

void KerasExporter::emit_node(const Node& node, const std::string& class_name, Json config, size_t input,
                              std::vector<int> dims) {
  emit_node(node, node.name, class_name, std::move(config), input, std::move(dims));
}

void KerasExporter::emit_node(const Node& node, const std::string& name, const std::string& class_name, Json config,
                              size_t input, std::vector<int> dims) {
  const size_t layer = emit(class_name, name, std::move(config), {input}, std::move(dims));
  layers_[layer].trainable = !node.frozen;
  nodes_[layer] = &node;
  made_by_[static_cast<size_t>(node.output.index)] = layer;
}

void KerasExporter::add_weights(const Node& node, const std::vector<std::pair<std::string, std::string>>& roles) {
  for (const auto& [role, ours] : roles) {
    const auto place = places_.find(node.name + "." + ours);
    if (place == places_.end()) continue;
    const std::vector<float>& values = network_.weights.at(place->first);
    layers_.back().weights.emplace_back(role, HostTensor{role, dims_in(WeightOrder::kKeras, place->second),
                                                         to_order(WeightOrder::kKeras, place->second, values)});
    layers_.back().parameters.push_back(place->first);
  }
}

// ---- Images and vectors: a value of ours has four axes always, one of Keras' two or four

std::vector<int> KerasExporter::image_dims(ValueId value) const {
  const Shape& shape = graph_.shape(value);
  return {shape.h, shape.w, shape.c};
}

size_t KerasExporter::as_image(ValueId value) {
  size_t& layer = made_by_[static_cast<size_t>(value.index)];
  if (layers_[layer].dims.size() == 3) return layer;
  const Json target = {{"target_shape", Json::array({1, 1, graph_.shape(value).c})}};
  return emit("Reshape", layers_[layer].name + "_image", target, {layer}, image_dims(value));
}

size_t KerasExporter::as_vector(ValueId value) {
  const size_t layer = as_it_is(value);
  if (layers_[layer].dims.size() == 1) return layer;
  return emit("Flatten", layers_[layer].name + "_flatten", Json::object(), {layer}, {graph_.shape(value).c});
}

const Graph::Node* KerasExporter::producer(ValueId value) const {
  const auto found = std::ranges::find(graph_.nodes(), value, &Graph::Node::output);
  return found == graph_.nodes().end() ? nullptr : &*found;
}

// Whether somebody needs height and width, through layers that do not mind.
bool KerasExporter::read_as_image(ValueId value) const {
  static const std::set<std::string_view> kVectors = {"flatten", "linear"};
  static const std::set<std::string_view> kImages = {"adaptive_average_pool",
                                                     "average_pool",
                                                     "conv2d",
                                                     "conv_transpose",
                                                     "global_average",
                                                     "global_max",
                                                     "max_pool",
                                                     "multiply",
                                                     "pad",
                                                     "upsample"};
  std::vector<ValueId> open = {value};
  std::set<int> seen;
  while (!open.empty()) {
    const ValueId at = open.back();
    open.pop_back();
    if (!seen.insert(at.index).second) continue;
    for (const Node& node : graph_.nodes()) {
      if (std::ranges::find(node.inputs, at) == node.inputs.end()) continue;
      if (kImages.contains(node.layer->type())) return true;
      if (!kVectors.contains(node.layer->type())) open.push_back(node.output);
    }
  }
  return false;
}

// By the layers that made it.
bool KerasExporter::never_negative(ValueId value) const {
  static const std::set<std::string_view> kPositive = {"hard_sigmoid", "relu", "relu6", "sigmoid", "softmax"};
  static const std::set<std::string_view> kKeep = {
      "adaptive_average_pool", "add",      "average_pool", "concat",          "dropout",
      "global_average",        "max_pool", "multiply",     "stochastic_depth"};
  std::vector<ValueId> open = {value};
  std::set<int> seen;
  while (!open.empty()) {
    const ValueId at = open.back();
    open.pop_back();
    if (!seen.insert(at.index).second) continue;
    const Node* node = producer(at);
    if (node == nullptr) return false;
    if (kPositive.contains(node->layer->type())) continue;
    if (!kKeep.contains(node->layer->type())) return false;
    open.insert(open.end(), node->inputs.begin(), node->inputs.end());
  }
  return true;
}

std::string KerasExporter::padding_word(const Node& node, const Window& window, size_t& input) {
  const Shape& x = graph_.shape(node.inputs[0]);
  Window same = window;
  same.padding = Padding::same();
  const WindowAxes has = window_axes(window, x), with_same = window_axes(same, x);
  const auto is_same = [](const WindowAxis& a, const WindowAxis& b) { return a.low == b.low && a.output == b.output; };
  // How far the windows reach behind the input.
  const auto behind = [](const WindowAxis& axis) {
    const int reach = (axis.output - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
    return std::max(reach - axis.low - axis.input, 0);
  };
  const auto fits = [&](const WindowAxis& axis) { return axis.low == 0 && behind(axis) == 0; };
  if (fits(has.h) && fits(has.w)) return "valid";
  if (is_same(has.h, with_same.h) && is_same(has.w, with_same.w)) return "same";
  const int top = has.h.low, bottom = std::max(behind(has.h), window.padding.height);
  const int left = has.w.low, right = std::max(behind(has.w), window.padding.width);
  input = emit("ZeroPadding2D", node.name + "_pad",
               {{"padding", Json::array({Json::array({top, bottom}), Json::array({left, right})})}}, {input},
               {x.h + top + bottom, x.w + left + right, x.c});
  return "valid";
}

}  // namespace convoy
