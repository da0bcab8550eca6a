#include "launcher/layer_table.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/multiply.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"

namespace convoy {
namespace {

constexpr Range kExtent = between(1, 4096);  // of a window
constexpr Range kChannels = between(1, 1 << 24);

}  // namespace

WeightInitializer weight_initializer(Params& params) {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all;
    for (const NamedInitializer& it : kWeightInitializers) all.push_back(it.name);
    return all;
  }();
  static const std::span with_number = std::span(names).first(kInitializersWithNumber);
  const auto [name, number] = params.named_number_or("initializer", "pytorch", names, with_number);
  WeightInitializer found = std::ranges::find(kWeightInitializers, name, &NamedInitializer::name)->value;
  if (!number) return found;
  if (*number <= 0 && name != "constant") params.fail("initializer", "expected " + name + ": a number > 0");
  found.number = *number;
  return found;
}

namespace {

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

Conv2dOptions conv2d(Params& params) {
  Conv2dOptions options;
  options.filters = params.integer("filters", kChannels);
  options.window = window(params, params.pair("kernel", kExtent), {1, 1});
  const auto [dilation_h, dilation_w] = params.pair_or("dilation", {1, 1}, kExtent);
  options.window.dilation_h = dilation_h;
  options.window.dilation_w = dilation_w;
  options.groups = params.integer_or("groups", 1, kChannels);
  options.bias = params.boolean_or("bias", true);
  options.initializer = weight_initializer(params);
  return options;
}

ConvTransposeOptions conv_transpose(Params& params) {
  ConvTransposeOptions options;
  options.filters = params.integer("filters", kChannels);
  options.window = window(params, params.pair("kernel", kExtent), {1, 1});
  const auto [height, width] = params.pair_or("output_padding", {0, 0}, between(0, 4096));
  options.output_padding_h = height;
  options.output_padding_w = width;
  options.bias = params.boolean_or("bias", true);
  options.initializer = weight_initializer(params);
  return options;
}

LinearOptions linear(Params& params) {
  LinearOptions options;
  options.units = params.integer("units", kChannels);  // `classes` is a number by now
  options.bias = params.boolean_or("bias", true);
  options.initializer = weight_initializer(params);
  return options;
}

Window pool(Params& params) {
  const Params::Pair kernel = params.pair("kernel", kExtent);
  Window result = window(params, kernel, kernel);
  result.ceil = params.boolean_or("ceil", false);
  if (result.ceil && result.padding.kind == Padding::Kind::kSame) params.fail("ceil", "'same' rounds up already");
  return result;
}

std::unique_ptr<Layer> average_pool(Params& params) {
  const Window window = pool(params);
  return std::make_unique<AveragePool>(window, params.boolean_or("include_padding", false));
}

PadOptions pad(Params& params) {
  const auto [top, bottom, left, right] = params.sides("padding", between(0, 4096));
  return {top, bottom, left, right, static_cast<float>(params.number_or("value", 0, Range{}))};
}

float epsilon(Params& params) { return static_cast<float>(params.number_or("epsilon", 1e-5, above_up_to(0, 1))); }

GroupNormOptions group_norm(Params& params) {
  return {.groups = params.integer("groups", kChannels), .epsilon = epsilon(params)};
}

LrnOptions lrn(Params& params) {
  return {.size = params.integer_or("size", 5, kExtent),
          .alpha = static_cast<float>(params.number_or("alpha", 1e-4, at_least(0))),
          .beta = static_cast<float>(params.number_or("beta", 0.75, at_least(0))),
          .k = static_cast<float>(params.number_or("k", 1, above(0)))};
}

UpsampleOptions upsample(Params& params) {
  static constexpr std::array<std::string_view, 2> kModes = {"nearest", "bilinear"};
  const auto [scale_h, scale_w] = params.pair_or("scale", {2, 2}, kExtent);
  return {scale_h, scale_w, params.choice_or("mode", kModes[0], kModes) == kModes[1]};
}

BatchNormOptions batch_norm(Params& params) {
  return {.epsilon = static_cast<float>(params.number_or("epsilon", 1e-5, above_up_to(0, 1))),
          .momentum = static_cast<float>(params.number_or("momentum", 0.1, above_up_to(0, 1))),
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
    {"add", [](Params&, int) { return made<Add>(); }},
    {"average_pool", [](Params& p, int) { return average_pool(p); }},
    {"batch_norm", [](Params& p, int) { return made<BatchNorm>(batch_norm(p)); }},
    {"conv2d", [](Params& p, int) { return made<Conv2d>(conv2d(p)); }},
    {"conv_transpose", [](Params& p, int) { return made<ConvTranspose>(conv_transpose(p)); }},
    {"dropout", [](Params& p, int number) { return made<Dropout>(rate(p), static_cast<uint32_t>(number)); }},
    {"elu", [](Params& p, int) { return made<Activation>(EluFunction{not_negative(p, "alpha", 1)}); }},
    {"flatten", [](Params&, int) { return made<Flatten>(); }},
    {"gelu", [](Params& p, int) { return made<Activation>(gelu(p)); }},
    {"global_average", [](Params&, int) { return made<GlobalAverage>(); }},
    {"global_max", [](Params&, int) { return made<GlobalMax>(); }},
    {"group_norm", [](Params& p, int) { return made<GroupNorm>(group_norm(p)); }},
    {"hard_sigmoid", [](Params&, int) { return made<Activation>(HardSigmoidFunction{}); }},
    {"hard_swish", [](Params&, int) { return made<Activation>(HardSwishFunction{}); }},
    {"layer_norm", [](Params& p, int) { return made<LayerNorm>(epsilon(p)); }},
    {"leaky_relu", [](Params& p, int) { return made<Activation>(LeakyReluFunction{not_negative(p, "slope", 0.01)}); }},
    {"linear", [](Params& p, int) { return made<Linear>(linear(p)); }},
    {"lrn", [](Params& p, int) { return made<Lrn>(lrn(p)); }},
    {"max_pool", [](Params& p, int) { return made<MaxPool>(pool(p)); }},
    {"multiply", [](Params&, int) { return made<Multiply>(); }},
    {"pad", [](Params& p, int) { return made<Pad>(pad(p)); }},
    {"relu", [](Params&, int) { return made<Relu>(); }},
    {"relu6", [](Params&, int) { return made<Activation>(Relu6Function{}); }},
    {"sigmoid", [](Params&, int) { return made<Activation>(SigmoidFunction{}); }},
    {"silu", [](Params&, int) { return made<Activation>(SiluFunction{}); }},
    {"softmax", [](Params&, int) { return made<Softmax>(); }},
    {"stochastic_depth", [](Params& p, int number) { return made<StochasticDepth>(rate(p), static_cast<uint32_t>(number)); }},
    {"tanh", [](Params&, int) { return made<Activation>(TanhFunction{}); }},
    {"upsample", [](Params& p, int) { return made<Upsample>(upsample(p)); }},
};
// clang-format on

}  // namespace convoy
