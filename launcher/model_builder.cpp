#include "launcher/model_builder.h"

#include <algorithm>
#include <map>
#include <regex>
#include <utility>

#include "core/base/error.h"
#include "core/device/target.h"
#include "launcher/config/params.h"
#include "launcher/layer_table.h"
#include "layers/add.h"
#include "layers/concat.h"
#include "layers/normalize.h"
#include "layers/rewrite.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

constexpr Range kTimes = between(1, 1000);
constexpr size_t kMostLayers = 10000;       // repeats of repeats end here
constexpr double kMostElements = 0x1.0p40;  // of one value or parameter; what is larger is a slip of the pen

// Layers that are in every network.
constexpr const char* kNormalize = "normalize";
constexpr const char* kLoss = "softmax_cross_entropy";

// ---- The graph

class Builder {
 public:
  explicit Builder(Graph& graph) : graph_(graph) {}

  ValueId append(const std::vector<LayerConfig>& layers, ValueId x) {
    for (const LayerConfig& layer : layers) x = append(layer, x);
    return x;
  }

 private:
  using AppendContainer = ValueId (Builder::*)(const LayerConfig&, Params&, ValueId);
  static const std::map<std::string_view, AppendContainer> kContainers;

  ValueId append(const LayerConfig& config, ValueId x);
  ValueId residual(const LayerConfig& config, Params& params, ValueId x);
  ValueId concat(const LayerConfig& config, Params& params, ValueId x);
  ValueId repeat(const LayerConfig& config, Params& params, ValueId x);

  ValueId add(const LayerConfig& config, Params& params, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs);
  std::string name(Params& params, const std::string& type);
  [[noreturn]] static void unknown_type(const LayerConfig& config);

  Graph& graph_;
  std::map<std::string, int, std::less<>> numbers_;  // of layers so far, by type
};

const std::map<std::string_view, Builder::AppendContainer> Builder::kContainers = {
    {"concat", &Builder::concat},
    {"repeat", &Builder::repeat},
    {"residual", &Builder::residual},
};

void Builder::unknown_type(const LayerConfig& config) {
  std::vector<std::string_view> known;
  for (const auto& [type, make] : kLayerTable) known.push_back(type);
  for (const auto& [type, append] : kContainers) known.push_back(type);
  config_error(config.where, config.path, "unknown layer type" + did_you_mean(config.type, known));
}

ValueId Builder::append(const LayerConfig& config, ValueId x) {
  Params params(config);
  if (const auto container = kContainers.find(config.type); container != kContainers.end()) {
    return (this->*container->second)(config, params, x);
  }
  const auto make = kLayerTable.find(config.type);
  if (make == kLayerTable.end()) unknown_type(config);
  return add(config, params, make->second(params, numbers_[config.type] + 1), {x});
}

ValueId Builder::residual(const LayerConfig& config, Params& params, ValueId x) {
  const std::vector<LayerConfig> layers = params.layers("layers");
  const std::vector<LayerConfig> shortcut = params.layers_or("shortcut");
  if (layers.empty()) params.fail("layers", "expected at least one layer");
  const ValueId sum = append(layers, x);
  return add(config, params, std::make_unique<Add>(), {sum, append(shortcut, x)});
}

ValueId Builder::concat(const LayerConfig& config, Params& params, ValueId x) {
  const std::vector<std::vector<LayerConfig>> branches = params.branches("branches");
  if (branches.size() < 2) params.fail("branches", "expected at least two branches");
  std::vector<ValueId> ends;
  for (const std::vector<LayerConfig>& branch : branches) ends.push_back(append(branch, x));
  return add(config, params, std::make_unique<Concat>(), std::move(ends));
}

ValueId Builder::repeat(const LayerConfig&, Params& params, ValueId x) {
  const int times = params.integer("times", kTimes);
  const std::vector<LayerConfig> layers = params.layers("layers");
  params.done();
  for (int i = 0; i < times; ++i) x = append(layers, x);
  return x;
}

std::string Builder::name(Params& params, const std::string& type) {
  const std::string number = std::to_string(++numbers_[type]);
  const std::string name = params.text_or("name", type + "_" + number);
  static const std::regex allowed("[A-Za-z0-9_.-]{1,100}");
  if (name == kNormalize || name == kLoss) params.fail("name", "'" + name + "' is a layer that Convoy adds itself");
  if (!std::regex_match(name, allowed)) {
    params.fail("name", "expected up to 100 letters, digits, '_', '.' and '-', found '" + name + "'");
  }
  return name;
}

double elements(const Shape& shape) { return double(shape.n) * shape.h * shape.w * shape.c; }

// The last step for every layer: all its parameters have been asked for.
ValueId Builder::add(const LayerConfig& config, Params& params, std::unique_ptr<Layer> layer,
                     std::vector<ValueId> inputs) {
  const std::string layer_name = name(params, layer->type());
  params.done();
  if (graph_.nodes().size() >= kMostLayers) {
    params.fail("the network has more than " + std::to_string(kMostLayers) + " layers");
  }
  const ValueId y =
      graph_.add(layer_name, std::move(layer), std::move(inputs), config.where.text() + ": " + config.path);
  const Graph::Node& node = graph_.nodes().back();
  double largest = elements(graph_.shape(y));
  for (const ParameterSpec& parameter : node.layer->parameters(graph_.input_shapes(node))) {
    largest = std::max(largest, elements(parameter.shape));
  }
  if (largest > kMostElements) params.fail("no machine holds its output or its parameters");
  return y;
}

// ---- What comes before and after the layers of the file

ValueId normalized(Graph& graph, const DataConfig& data, ValueId image) {
  const auto floats = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  return graph.add(
      kNormalize,
      std::make_unique<Normalize>(floats(data.mean), floats(data.std), data.channel_order == ChannelOrder::kBgr),
      {image}, data.where.text() + ": data");
}

void expect_logits(const ModelConfig& model, const Shape& found) {
  const Shape expected{found.n, 1, 1, model.classes};
  if (found == expected) return;
  const bool flat = found.h == 1 && found.w == 1;
  const LayerConfig& last = model.layers.back();
  config_error(last.where, last.path,
               "the network must end in " + to_string(expected) + ", one number for each class, and ends in " +
                   to_string(found) + "; add " + (flat ? "" : "`- flatten` and ") + "`- linear: {units: classes}`");
}

}  // namespace

Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, const BuildOptions& options) {
  const int rows = options.rows;
  CHECK(sample.n == 1 && rows >= 1 && !model.layers.empty());
  Graph graph;
  const Shape images{rows, sample.h, sample.w, sample.c};
  ValueId x = graph.input("image", images, options.normalize ? Dtype::kU8 : Dtype::kF32);
  if (options.normalize) x = normalized(graph, data, x);
  const ValueId logits = Builder(graph).append(model.layers, x);
  expect_logits(model, graph.shape(logits));
  if (options.training) {
    const ValueId target = graph.input("target", targets_shape(rows), Dtype::kI32);
    graph.add(kLoss, std::make_unique<SoftmaxCrossEntropy>(), {logits, target});
  }
  if (options.rewrite) rewrite(graph, logits);
  return {std::move(graph), logits};
}

}  // namespace convoy
