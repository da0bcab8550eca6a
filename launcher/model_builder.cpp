#include "launcher/model_builder.h"

#include <algorithm>
#include <map>
#include <regex>
#include <utility>

#include "core/base/error.h"
#include "core/device/target.h"
#include "launcher/config/params.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/normalize.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/rewrite.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

constexpr Range kExtent = between(1, 4096);  // of a window
constexpr Range kChannels = between(1, 1 << 24);
constexpr Range kTimes = between(1, 1000);
constexpr size_t kMostLayers = 10000;       // repeats of repeats end here
constexpr double kMostElements = 0x1.0p40;  // of one value or parameter; what is larger is a slip of the pen

// Layers that are in every network.
constexpr const char* kNormalize = "normalize";
constexpr const char* kLoss = "softmax_cross_entropy";

// ---- Layers: from parameters to options

Padding padding(Params& params) {
  static constexpr std::array<std::string_view, 2> kWords = {"same", "valid"};
  const auto given = params.pair_or_word("padding", {0, 0}, between(0, 4096), kWords);
  if (const auto* word = std::get_if<std::string>(&given)) return *word == "same" ? Padding::same() : Padding::valid();
  const auto [height, width] = std::get<Params::Pair>(given);
  return {Padding::Kind::kNumber, height, width};
}

Window window(Params& params, const Params::Pair& kernel, const Params::Pair& default_stride) {
  const auto [stride_h, stride_w] = params.pair_or("stride", default_stride, kExtent);
  return {.kernel_h = kernel[0],
          .kernel_w = kernel[1],
          .stride_h = stride_h,
          .stride_w = stride_w,
          .padding = padding(params)};
}

WeightInitializer initializer(Params& params) {
  static constexpr std::array<std::string_view, 2> kNames = {"pytorch", "kaiming_normal"};
  return weight_initializer(params.choice_or("initializer", kNames[0], kNames));
}

Conv2dOptions conv2d(Params& params) {
  Conv2dOptions options;
  options.filters = params.integer("filters", kChannels);
  options.window = window(params, params.pair("kernel", kExtent), {1, 1});
  const auto [dilation_h, dilation_w] = params.pair_or("dilation", {1, 1}, kExtent);
  options.window.dilation_h = dilation_h;
  options.window.dilation_w = dilation_w;
  options.groups = params.integer_or("groups", 1, kChannels);
  options.bias = params.boolean_or("bias", true);
  options.initializer = initializer(params);
  return options;
}

LinearOptions linear(Params& params) {
  LinearOptions options;
  options.units = params.integer("units", kChannels);  // `classes` is a number by now
  options.bias = params.boolean_or("bias", true);
  options.initializer = initializer(params);
  return options;
}

Window pool(Params& params) {
  const Params::Pair kernel = params.pair("kernel", kExtent);
  return window(params, kernel, kernel);
}

BatchNormOptions batch_norm(Params& params) {
  return {.epsilon = static_cast<float>(params.number_or("epsilon", 1e-5, above_up_to(0, 1))),
          .momentum = static_cast<float>(params.number_or("momentum", 0.1, between(0, 1)))};
}

float rate(Params& params) { return static_cast<float>(params.number("rate", from_below(0, 1))); }

// ---- The table: one line per layer type

using MakeLayer = std::unique_ptr<Layer> (*)(Params& params, int number);

template <class T, class... Args>
std::unique_ptr<Layer> made(Args&&... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}

// `number` counts the layers of one type, from 1.
const std::map<std::string_view, MakeLayer> kLayers = {
    {"average_pool", [](Params& p, int) { return made<AveragePool>(pool(p)); }},
    {"batch_norm", [](Params& p, int) { return made<BatchNorm>(batch_norm(p)); }},
    {"conv2d", [](Params& p, int) { return made<Conv2d>(conv2d(p)); }},
    {"dropout", [](Params& p, int number) { return made<Dropout>(rate(p), static_cast<uint32_t>(number)); }},
    {"flatten", [](Params&, int) { return made<Flatten>(); }},
    {"global_average", [](Params&, int) { return made<GlobalAverage>(); }},
    {"linear", [](Params& p, int) { return made<Linear>(linear(p)); }},
    {"max_pool", [](Params& p, int) { return made<MaxPool>(pool(p)); }},
    {"relu", [](Params&, int) { return made<Relu>(); }},
};

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
  for (const auto& [type, make] : kLayers) known.push_back(type);
  for (const auto& [type, append] : kContainers) known.push_back(type);
  config_error(config.where, config.path, "unknown layer type" + did_you_mean(config.type, known));
}

ValueId Builder::append(const LayerConfig& config, ValueId x) {
  Params params(config);
  if (const auto container = kContainers.find(config.type); container != kContainers.end()) {
    return (this->*container->second)(config, params, x);
  }
  const auto make = kLayers.find(config.type);
  if (make == kLayers.end()) unknown_type(config);
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
  return graph.add(kNormalize, std::make_unique<Normalize>(floats(data.mean), floats(data.std)), {image},
                   data.where.text() + ": data");
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

Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, int rows) {
  CHECK(sample.n == 1 && rows >= 1 && !model.layers.empty());
  Graph graph;
  const ValueId image = graph.input("image", {rows, sample.h, sample.w, sample.c}, Dtype::kU8);
  const ValueId target = graph.input("target", targets_shape(rows), Dtype::kI32);
  const ValueId logits = Builder(graph).append(model.layers, normalized(graph, data, image));
  expect_logits(model, graph.shape(logits));
  graph.add(kLoss, std::make_unique<SoftmaxCrossEntropy>(), {logits, target});
  rewrite(graph, logits);
  return {std::move(graph), logits};
}

}  // namespace convoy
