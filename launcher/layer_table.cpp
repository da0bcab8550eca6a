#include "launcher/layer_table.h"

#include <array>
#include <utility>

#include "core/base/error.h"
#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/multiply.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/stochastic_depth.h"

namespace convoy {
namespace {

constexpr Range kExtent = between(1, 4096);  // of a window
constexpr Range kChannels = between(1, 1 << 24);

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
          .momentum = static_cast<float>(params.number_or("momentum", 0.1, between(0, 1))),
          .scale = params.boolean_or("scale", true),
          .shift = params.boolean_or("shift", true),
          .inference = params.boolean_or("inference", false)};
}

ActivationFunction gelu(Params& params) {
  static constexpr std::array<std::string_view, 2> kNames = {"none", "tanh"};
  if (params.choice_or("approximate", kNames[0], kNames) == kNames[0]) return GeluFunction{};
  return GeluTanhFunction{};
}

float not_negative(Params& params, std::string_view key, double otherwise) {
  return static_cast<float>(params.number_or(key, otherwise, between(0, 1e6)));
}

std::unique_ptr<Layer> adaptive_pool(Params& params) {
  const auto [height, width] = params.pair("size", kExtent);
  return std::make_unique<AdaptiveAveragePool>(height, width);
}

float rate(Params& params) { return static_cast<float>(params.number("rate", from_below(0, 1))); }

// ---- The table: one line per layer type

template <class T, class... Args>
std::unique_ptr<Layer> made(Args&&... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}

}  // namespace

// clang-format off
const std::map<std::string_view, MakeLayer> kLayerTable = {
    {"adaptive_average_pool", [](Params& p, int) { return adaptive_pool(p); }},
    {"average_pool", [](Params& p, int) { return made<AveragePool>(pool(p)); }},
    {"batch_norm", [](Params& p, int) { return made<BatchNorm>(batch_norm(p)); }},
    {"conv2d", [](Params& p, int) { return made<Conv2d>(conv2d(p)); }},
    {"dropout", [](Params& p, int number) { return made<Dropout>(rate(p), static_cast<uint32_t>(number)); }},
    {"elu", [](Params& p, int) { return made<Activation>(EluFunction{not_negative(p, "alpha", 1)}); }},
    {"flatten", [](Params&, int) { return made<Flatten>(); }},
    {"gelu", [](Params& p, int) { return made<Activation>(gelu(p)); }},
    {"global_average", [](Params&, int) { return made<GlobalAverage>(); }},
    {"global_max", [](Params&, int) { return made<GlobalMax>(); }},
    {"hard_sigmoid", [](Params&, int) { return made<Activation>(HardSigmoidFunction{}); }},
    {"hard_swish", [](Params&, int) { return made<Activation>(HardSwishFunction{}); }},
    {"leaky_relu", [](Params& p, int) { return made<Activation>(LeakyReluFunction{not_negative(p, "slope", 0.01)}); }},
    {"linear", [](Params& p, int) { return made<Linear>(linear(p)); }},
    {"max_pool", [](Params& p, int) { return made<MaxPool>(pool(p)); }},
    {"multiply", [](Params&, int) { return made<Multiply>(); }},
    {"relu", [](Params&, int) { return made<Relu>(); }},
    {"relu6", [](Params&, int) { return made<Activation>(Relu6Function{}); }},
    {"sigmoid", [](Params&, int) { return made<Activation>(SigmoidFunction{}); }},
    {"silu", [](Params&, int) { return made<Activation>(SiluFunction{}); }},
    {"softmax", [](Params&, int) { return made<Softmax>(); }},
    {"stochastic_depth", [](Params& p, int number) { return made<StochasticDepth>(rate(p), static_cast<uint32_t>(number)); }},
    {"tanh", [](Params&, int) { return made<Activation>(TanhFunction{}); }},
};
// clang-format on

}  // namespace convoy
