#include "launcher/layer_builder.h"

#include <algorithm>
#include <array>
#include <regex>
#include <utility>

#include "core/base/error.h"
#include "launcher/config/blocks.h"
#include "launcher/layer_table.h"
#include "layers/add.h"
#include "layers/concat.h"
#include "layers/conv2d.h"

namespace convoy {
namespace {

constexpr Range kTimes = between(1, 1000);
constexpr Range kFirstCount = between(0, 1'000'000);
constexpr Range kChannels = between(1, 1 << 24);
constexpr size_t kMostLayers = 10000;       // repeats of repeats end here
constexpr int kMostCopied = 1'000'000;      // values that repeats write out
constexpr size_t kMostInputs = 100'000;     // of all layers that read several
constexpr double kMostElements = 0x1.0p40;  // of one value or parameter; what is larger is a slip of the pen
constexpr double kMostProducts = 0x1.0p49;  // of one layer; those of 10,000 fit into 64 bits
constexpr const char* kImage = "image";     // as an input: that of the network
constexpr std::array<std::string_view, 3> kOfSeveralInputs = {"add", "concat", "multiply"};

double pixels(const Shape& shape) { return double(shape.n) * shape.h * shape.w; }
double elements(const Shape& shape) { return pixels(shape) * shape.c; }

[[noreturn]] void unknown_type(const LayerConfig& config, std::vector<std::string_view> known) {
  for (const auto& [type, make] : kLayerTable) known.push_back(type);
  std::ranges::sort(known);
  config_error(config.where, config.path, "unknown layer type" + did_you_mean(config.type, known));
}

// A layer that stands in no file, for the parts of a composed one.
class Part {
 public:
  Part(const LayerConfig& of, std::string type, const std::string& name)
      : config_{std::move(type), {}, of.where, of.path} {
    config_.parameters = Node{.kind = Node::Kind::kMap, .where = of.where};
    set("name", name);
  }
  Part& set(std::string key, std::string value) {
    return set(std::move(key), Node{.kind = Node::Kind::kScalar, .text = std::move(value), .where = config_.where});
  }
  Part& set(std::string key, Node node) {
    node.key = std::move(key);
    config_.parameters.children.push_back(std::move(node));
    return *this;
  }
  LayerConfig take() { return std::move(config_); }

 private:
  LayerConfig config_;
};

}  // namespace

LayerBuilder::LayerBuilder(Graph& graph, ValueId image, bool zero_init_residual)
    : graph_(graph), image_(image), zero_init_residual_(zero_init_residual) {
  for (const Graph::Node& node : graph.nodes()) ++numbers_[node.layer->type()];
}

const std::map<std::string_view, LayerBuilder::Append> LayerBuilder::kComposed = {
    {"concat", &LayerBuilder::concat},
    {"repeat", &LayerBuilder::repeat},
    {"residual", &LayerBuilder::residual},
    {"squeeze_excite", &LayerBuilder::squeeze_excite},
};

ValueId LayerBuilder::append(const std::vector<LayerConfig>& layers, ValueId x) {
  for (const LayerConfig& layer : layers) x = append(layer, x);
  return x;
}

ValueId LayerBuilder::append(const LayerConfig& config, ValueId x) {
  Params params(config);
  const bool trainable = params.boolean_or("trainable", true);
  if (params.has("input")) x = value_of(params, "input", params.text("input"));
  const size_t first = graph_.nodes().size();
  const auto composed = kComposed.find(config.type);
  const ValueId y =
      composed == kComposed.end() ? append_plain(config, params, x) : (this->*composed->second)(config, params, x);
  if (trainable) return y;
  for (size_t i = first; i < graph_.nodes().size(); ++i) graph_.freeze(static_cast<int>(i));
  return y;
}

ValueId LayerBuilder::append_plain(const LayerConfig& config, Params& params, ValueId x) {
  const auto make = kLayerTable.find(config.type);
  if (make == kLayerTable.end()) {
    std::vector<std::string_view> composed;
    for (const auto& [type, append] : kComposed) composed.push_back(type);
    unknown_type(config, std::move(composed));
  }
  const bool several = std::ranges::find(kOfSeveralInputs, config.type) != kOfSeveralInputs.end();
  std::vector<ValueId> inputs = several ? several_inputs(params) : std::vector{x};
  return add(config, params, make->second(params, numbers_[config.type] + 1), std::move(inputs));
}

// ---- Composed layers

ValueId LayerBuilder::residual(const LayerConfig& config, Params& params, ValueId x) {
  const std::vector<LayerConfig> layers = params.layers("layers");
  const std::vector<LayerConfig> shortcut = params.layers_or("shortcut");
  if (layers.empty()) params.fail("layers", "expected at least one layer");
  const bool zero_init = params.boolean_or("zero_init", zero_init_residual_);
  const ValueId sum = append(layers, x);
  if (zero_init) start_at_zero(params, sum);
  return add(config, params, std::make_unique<Add>(), {sum, append(shortcut, x)});
}

// As torchvision's zero_init_residual (Goyal et al. 2017): the branch whose output is `end` adds nothing at first.
void LayerBuilder::start_at_zero(const Params& params, ValueId end) {
  static constexpr std::array<std::string_view, 3> kNorms = {"batch_norm", "group_norm", "layer_norm"};
  const auto& nodes = graph_.nodes();
  const auto producer = [&](ValueId value) { return std::ranges::find(nodes, value, &Graph::Node::output); };
  auto node = producer(end);
  while (node != nodes.end() && node->layer->type() == "stochastic_depth") node = producer(node->inputs.front());
  const std::string last = node == nodes.end() ? kImage : node->name;
  if (node == nodes.end() || std::ranges::find(kNorms, node->layer->type()) == kNorms.end()) {
    params.fail("zero_init", "expected a norm at the end of the branch, found '" + last + "'");
  }
  const std::vector<ParameterSpec> specs = node->layer->parameters(graph_.input_shapes(*node));
  if (std::ranges::find(specs, "weight", &ParameterSpec::name) == specs.end()) {
    params.fail("zero_init", "'" + last + "' at the end of the branch has no weight to start at 0");
  }
  graph_.start_weight_at_zero(static_cast<int>(node - nodes.begin()));
}

ValueId LayerBuilder::concat(const LayerConfig& config, Params& params, ValueId x) {
  if (params.has("inputs")) return add(config, params, std::make_unique<Concat>(), several_inputs(params));
  const std::vector<std::vector<LayerConfig>> branches = params.branches("branches");
  if (branches.size() < 2) params.fail("branches", "expected at least two branches");
  std::vector<ValueId> ends;
  for (const std::vector<LayerConfig>& branch : branches) ends.push_back(append(branch, x));
  return add(config, params, std::make_unique<Concat>(), std::move(ends));
}

ValueId LayerBuilder::repeat(const LayerConfig&, Params& params, ValueId x) {
  const int times = params.integer("times", kTimes), from = params.integer_or("from", 0, kFirstCount);
  const std::vector<LayerConfig> layers = params.layers("layers");
  if (layers.empty()) params.fail("layers", "expected at least one layer");
  params.done();
  for (const LayerConfig& layer : layers) copied_ += int64_t{times} * count_values(layer.parameters);
  if (copied_ > kMostCopied) params.fail("the repeats come to more than " + std::to_string(kMostCopied) + " values");
  for (int i = 0; i < times; ++i) {
    for (LayerConfig layer : layers) {
      if (layer.type != "repeat") substitute_counter(layer.parameters, from + i);
      x = append(layer, x);
    }
  }
  return x;
}

// Hu et al. 2017: each channel times a gate that depends on all channels' means.  The parts are called as torchvision
// calls them.
ValueId LayerBuilder::squeeze_excite(const LayerConfig& config, Params& params, ValueId x) {
  static constexpr std::array<std::string_view, 2> kActivations = {"silu", "relu"};
  static constexpr std::array<std::string_view, 2> kGates = {"sigmoid", "hard_sigmoid"};
  const std::string reduced = std::to_string(params.integer("reduced", kChannels));
  const std::string channels = std::to_string(graph_.shape(x).c);
  const std::string activation = params.choice_or("activation", kActivations[0], kActivations);
  const std::string gate = params.choice_or("gate", kGates[0], kGates);
  const Node* initializer = params.node("initializer");  // its convolutions check it
  const std::string name = new_name(params, config.type);
  params.done();
  const auto part = [&](const std::string& type, const std::string& part_name) {
    return Part(config, type, name + "." + part_name);
  };
  const auto convolution = [&](const std::string& part_name, const std::string& filters) {
    Part made = part("conv2d", part_name).set("filters", filters).set("kernel", "1");
    if (initializer != nullptr) made.set("initializer", *initializer);
    return made.take();
  };
  ValueId y = append(part("global_average", "avgpool").take(), x);
  y = append(convolution("fc1", reduced), y);
  y = append(part(activation, "activation").take(), y);
  y = append(convolution("fc2", channels), y);
  y = append(part(gate, "scale_activation").take(), y);
  const LayerConfig product = Part(config, "multiply", name).take();
  Params product_params(product);
  return add(product, product_params, kLayerTable.at(product.type)(product_params, 1), {x, y});
}

// ---- One layer

ValueId LayerBuilder::value_of(const Params& params, std::string_view key, const std::string& name) const {
  if (name == kImage) return image_;
  const auto& nodes = graph_.nodes();
  const auto found = std::ranges::find(nodes, name, &Graph::Node::name);
  if (found != nodes.end() && name != kNormalizeLayer) return found->output;
  std::vector<std::string_view> known = {kImage};
  for (const Graph::Node& node : nodes) known.push_back(node.name);
  const std::string hint = did_you_mean(name, known);
  params.fail(key, "no layer before this one is called '" + name + "'" + (hint.ends_with('?') ? hint : ""));
}

std::vector<ValueId> LayerBuilder::several_inputs(Params& params) {
  const std::vector<std::string> names = params.texts("inputs");
  if (names.size() < 2) params.fail("inputs", "expected the names of at least two layers");
  inputs_ += names.size();
  if (inputs_ > kMostInputs) params.fail("inputs", "more than " + std::to_string(kMostInputs) + " inputs in all");
  std::vector<ValueId> values;
  for (const std::string& name : names) values.push_back(value_of(params, "inputs", name));
  return values;
}

std::string LayerBuilder::new_name(Params& params, const std::string& type) {
  const std::string number = std::to_string(++numbers_[type]);
  const std::string name = params.text_or("name", type + "_" + number);
  static const std::regex allowed("[A-Za-z0-9_.-]{1,100}");
  if (std::ranges::find(kAddedLayers, name) != kAddedLayers.end()) {
    params.fail("name", "'" + name + "' is a layer that Convoy adds itself");
  }
  if (name == kImage) params.fail("name", "'image' stands for the input of the network");
  if (!std::regex_match(name, allowed)) {
    params.fail("name", "expected up to 100 letters, digits, '_', '.' and '-', found '" + name + "'");
  }
  return name;
}

// The last step for every layer: all its parameters have been asked for.
ValueId LayerBuilder::add(const LayerConfig& config, Params& params, std::unique_ptr<Layer> layer,
                          std::vector<ValueId> inputs) {
  const std::string layer_name = new_name(params, layer->type());
  params.done();
  if (graph_.nodes().size() >= kMostLayers) {
    params.fail("the network has more than " + std::to_string(kMostLayers) + " layers");
  }
  const ValueId y =
      graph_.add(layer_name, std::move(layer), std::move(inputs), config.where.text() + ": " + config.path);
  const Graph::Node& node = graph_.nodes().back();
  double largest = elements(graph_.shape(y)), products = 0;
  const double places = std::max(pixels(graph_.shape(y)), pixels(graph_.shape(node.inputs.front())));
  for (const ParameterSpec& parameter : node.layer->parameters(graph_.input_shapes(node))) {
    largest = std::max(largest, elements(parameter.shape));
    products = std::max(products, places * elements(parameter.shape));
  }
  if (largest > kMostElements) params.fail("no machine holds its output or its parameters");
  if (products > kMostProducts) params.fail("no machine computes its output");
  return y;
}

}  // namespace convoy
