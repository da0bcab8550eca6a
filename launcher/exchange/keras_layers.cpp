#include "launcher/exchange/keras_layers.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "launcher/exchange/keras_conversion.h"

namespace convoy {
namespace {

using nlohmann::json;

constexpr int kLargestSide = 1 << 20;

KerasConversion::Convert find_conversion(const std::string& class_name) {
  for (const KerasTable* table : {&kKerasWindows, &kKerasSimple, &kKerasScaling, &kKerasFunctions}) {
    if (const auto found = table->find(class_name); found != table->end()) return found->second;
  }
  return nullptr;
}

std::string where_of(const std::string& file, const KerasNode& node) {
  return file + ": layer '" + node.own_name + "' (" + node.class_name.substr(0, 100) + ")";
}

// What acts in training only, and has another place here.
void note_regularizers(const KerasConversion::Call& call) {
  for (const char* key : {"kernel_regularizer", "bias_regularizer", "activity_regularizer", "depthwise_regularizer",
                          "pointwise_regularizer", "gamma_regularizer", "beta_regularizer"}) {
    if (call.fields.has(key)) call.note(std::string(key) + " is left out; see optimizer.weight_decay");
  }
  for (const char* key : {"kernel_constraint", "bias_constraint", "depthwise_constraint", "pointwise_constraint",
                          "gamma_constraint", "beta_constraint"}) {
    if (call.fields.has(key)) call.note(std::string(key) + " is left out");
  }
}

}  // namespace

// ---- One layer

KerasValue KerasConversion::Call::write(const KerasValue& input, const std::string& type,
                                        std::vector<LayerParameter> parameters, std::vector<int> dims,
                                        const std::string& part) const {
  const std::string name = part.empty() ? node.name : conversion.names().take(node.name + "." + part);
  conversion.text().add({type, name, {input.layer}, std::move(parameters)});
  return {name, std::move(dims)};
}

KerasValue KerasConversion::Call::write(const std::string& type, std::vector<LayerParameter> parameters,
                                        std::vector<int> dims, const std::string& part) const {
  return write(x(), type, std::move(parameters), std::move(dims), part);
}

void KerasConversion::Call::note(const std::string& what) const {
  conversion.model().notes.push_back("layer '" + node.own_name + "' (" + node.class_name + "): " + what);
}

int KerasConversion::Call::channels() const {
  if (x().dims.back() == 0) fields.refuse("the channels of its input are not known");
  return x().dims.back();
}

void KerasConversion::Call::require_image() const {
  if (x().dims.size() != 3) fields.refuse("its input is no image, with height, width and channels");
}

void KerasConversion::Call::require_channels_last() const {
  const std::string format = fields.text_or("data_format", "channels_last");
  if (format != "channels_last") fields.refuse("data_format " + format.substr(0, 100) + "; Convoy reads channels_last");
}

// ---- The network

KerasConversion::KerasConversion(const KerasGraph& graph, const KerasWeights& weights, const std::string& where)
    : graph_(graph), weights_(weights), where_(where) {
  for (const KerasNode& node : graph.nodes) names_.take(node.name);
}

const HostTensor* KerasConversion::weight(const KerasNode& node, const std::string& role) const {
  const auto found = weights_.by_role.find({static_cast<int>(&node - graph_.nodes.data()), role});
  return found == weights_.by_role.end() ? nullptr : found->second;
}

int KerasConversion::readers(int node) const {
  return static_cast<int>(std::ranges::count_if(
      graph_.nodes, [&](const KerasNode& it) { return std::ranges::find(it.inputs, node) != it.inputs.end(); }));
}

KerasValue KerasConversion::input() const {
  const json& shape = graph_.input_shape;
  const auto fail = [&](const std::string& what) { bad_data(where_, "model_config: the shape of the input " + what); };
  if (!shape.is_array()) fail("is not in the file");
  KerasValue image;
  for (size_t axis = 1; axis < shape.size(); ++axis) {
    int size = 0;
    const bool known = as_integer(shape[axis], size) && size >= 1 && size <= kLargestSide;
    if (!known && !shape[axis].is_null()) fail("is not as Keras writes it");
    image.dims.push_back(known ? size : 0);
  }
  if (image.dims.empty() || image.dims.size() > 3) {
    throw Error(ExitCode::kConfig, where_ + ": the input has " + std::to_string(image.dims.size()) +
                                       " axes behind the batch; Convoy's images have height, width and channels");
  }
  return image;
}

KerasValue KerasConversion::convert(const KerasNode& node, const std::vector<KerasValue>& inputs) {
  const KerasFields fields(*node.config, where_of(where_, node));
  const Convert convert = find_conversion(node.class_name);
  if (convert == nullptr) {
    fields.refuse(node.class_name == "Lambda" ? "holds code, which Convoy does not run"
                                              : "Convoy has no layer of this class");
  }
  const bool joins = node.class_name == "Add" || node.class_name == "Multiply" || node.class_name == "Concatenate";
  if (inputs.size() > 1 && !joins) fields.refuse("has " + std::to_string(inputs.size()) + " inputs");
  const Call call{*this, node, fields, inputs};
  note_regularizers(call);
  const size_t before = text_.layers().size();
  KerasValue output = convert(call);
  static const std::set<std::string_view> kWithWeights = {"batch_norm", "conv2d",     "conv_transpose",
                                                          "group_norm", "layer_norm", "linear"};
  for (size_t i = before; i < text_.layers().size() && !node.trainable; ++i) {
    ModelText::Layer& layer = text_.layers()[i];
    if (kWithWeights.contains(layer.type)) layer.parameters.emplace_back("trainable", yaml_boolean(false));
  }
  return output;
}

// The loss and prediction apply it; log_softmax of logits is as good as the logits, too.
void KerasConversion::drop_softmax(KerasValue& output) {
  std::vector<ModelText::Layer>& layers = text_.layers();
  if (layers.empty() || layers.back().type != "softmax" || layers.back().name != output.layer) return;
  output.layer = layers.back().inputs.front();
  model_.training_notes.push_back("the softmax at the end ('" + layers.back().name +
                                  "') is left out: Convoy's networks end in " +
                                  "logits, and the loss and predict apply it");
  model_.softmax = true;
  layers.pop_back();
}

// y = scale · 255 · (x / 255) + offset = (x / 255 - mean) / std
void KerasConversion::finish_pixels() {
  if (pixels_.scale.size() == 1 && pixels_.scale[0] == 1 && pixels_.offset[0] == 0) return;
  Preprocessing& out = model_.preprocessing.emplace();
  out.mean.clear();
  out.std.clear();
  for (size_t c = 0; c < pixels_.scale.size(); ++c) {
    out.std.push_back(1 / (255 * pixels_.scale[c]));
    out.mean.push_back(-pixels_.offset[c] * out.std.back());
  }
  const auto same = [](const std::vector<double>& v) { return std::ranges::count(v, v[0]) == std::ssize(v); };
  if (out.mean.size() != 3 || (same(out.mean) && same(out.std))) {
    if (!same(out.mean) || !same(out.std)) {
      throw Error(ExitCode::kConfig, where_ + ": the channels of other than colour images are scaled differently");
    }
    out.mean.resize(1);
    out.std.resize(1);
  }
  model_.notes.push_back("the scaling of pixels at the front became the preprocessing of the network");
}

// Which nodes the output depends on.
std::vector<bool> KerasConversion::live() const {
  std::vector<bool> live(graph_.nodes.size());
  if (graph_.output != KerasNode::kImage) live[static_cast<size_t>(graph_.output)] = true;
  for (size_t i = live.size(); i-- > 0;) {
    if (!live[i]) continue;
    for (const int input : graph_.nodes[i].inputs) {
      if (input != KerasNode::kImage) live[static_cast<size_t>(input)] = true;
    }
  }
  return live;
}

KerasModel KerasConversion::run() {
  const KerasValue image = input();
  const std::vector<bool> wanted = live();
  std::vector<KerasValue> values(graph_.nodes.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!wanted[i]) continue;
    std::vector<KerasValue> inputs;
    for (const int index : graph_.nodes[i].inputs) {
      inputs.push_back(index == KerasNode::kImage ? image : values[static_cast<size_t>(index)]);
    }
    values[i] = convert(graph_.nodes[i], inputs);
  }
  KerasValue output = graph_.output == KerasNode::kImage ? image : values[static_cast<size_t>(graph_.output)];
  drop_softmax(output);
  finish_pixels();
  if (text_.layers().empty()) bad_data(where_, "model_config: no layers");

  std::vector<int> sides = image.dims;
  if (sides.size() == 1) sides.insert(sides.begin(), {1, 1});
  if (sides.size() == 2) sides.push_back(1);
  if (std::ranges::count(sides, 0) == 0) model_.shape = {sides[0], sides[1], sides[2]};
  const std::vector<int>& end = output.dims;
  if (end.size() == 1 || (end.size() == 3 && end[0] == 1 && end[1] == 1)) model_.classes = end.back();
  model_.text = text_.yaml(graph_.name.empty() ? "" : legal_layer_name(graph_.name), model_.classes);
  return std::move(model_);
}

KerasModel convert_keras_layers(const KerasGraph& graph, const KerasWeights& weights, const std::string& where) {
  return KerasConversion(graph, weights, where).run();
}

}  // namespace convoy
