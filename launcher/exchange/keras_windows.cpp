// Layers with windows, and Dense.
#include <algorithm>
#include <cmath>

#include "launcher/exchange/keras_conversion.h"

namespace convoy {
namespace {

using Call = KerasConversion::Call;
using Pair = std::array<int, 2>;

struct KerasWindow {
  Pair kernel = {1, 1}, stride = {1, 1}, dilation = {1, 1};
  bool same = false;
};

bool padding_is_same(const Call& call) {
  const std::string padding = call.fields.text_or("padding", "valid");
  if (padding != "same" && padding != "valid")
    call.fields.refuse("Convoy has no padding '" + padding.substr(0, 100) + "'");
  return padding == "same";
}

KerasWindow convolution_window(const Call& call) {
  call.require_image();
  call.require_channels_last();
  return {.kernel = call.fields.pair("kernel_size"),
          .stride = call.fields.pair_or("strides", {1, 1}),
          .dilation = call.fields.pair_or("dilation_rate", {1, 1}),
          .same = padding_is_same(call)};
}

// 0 for what is not known.
int extent(const Call& call, const KerasWindow& window, size_t axis) {
  const int64_t input = call.x().dims[axis];
  if (input == 0) return 0;
  const int64_t stride = window.stride[axis];
  const int64_t reach = (int64_t{window.kernel[axis]} - 1) * window.dilation[axis] + 1;
  if (window.same) return static_cast<int>((input + stride - 1) / stride);
  if (input < reach) call.fields.refuse("its window is larger than its input of " + std::to_string(input));
  return static_cast<int>((input - reach) / stride + 1);
}

std::vector<int> dims_after(const Call& call, const KerasWindow& window, int channels) {
  return {extent(call, window, 0), extent(call, window, 1), channels};
}

void append_window(std::vector<LayerParameter>& parameters, const KerasWindow& window, const Pair& default_stride) {
  parameters.emplace_back("kernel", yaml_pair(window.kernel));
  if (window.stride != default_stride) parameters.emplace_back("stride", yaml_pair(window.stride));
  if (window.dilation != Pair{1, 1}) parameters.emplace_back("dilation", yaml_pair(window.dilation));
  if (window.same) parameters.emplace_back("padding", yaml_word("same"));
}

void append_bias(const Call& call, std::vector<LayerParameter>& parameters) {
  if (!call.fields.boolean_or("use_bias", true)) parameters.emplace_back("bias", yaml_boolean(false));
}

int at_least_one(const Call& call, const char* key) {
  const int value = call.fields.integer(key);
  if (value < 1 || value > 1 << 24) {
    call.fields.fail(key, "expected a number from 1 to 16777216, found " + std::to_string(value));
  }
  return value;
}

KerasValue conv2d(const Call& call) {
  const KerasWindow window = convolution_window(call);
  const int filters = at_least_one(call, "filters");
  std::vector<LayerParameter> parameters = {{"filters", yaml_number(filters)}};
  append_window(parameters, window, {1, 1});
  const int groups = call.fields.integer_or("groups", 1);
  if (groups != 1) parameters.emplace_back("groups", yaml_number(groups));
  append_bias(call, parameters);
  return keras_activation(call, call.write("conv2d", std::move(parameters), dims_after(call, window, filters)));
}

// A convolution with as many groups as channels.
KerasValue depthwise(const Call& call, bool with_bias, const std::string& part) {
  const KerasWindow window = convolution_window(call);
  const int channels = call.channels();
  const int64_t filters = int64_t{channels} * call.fields.integer_or("depth_multiplier", 1);
  if (filters < 1 || filters > 1 << 24) call.fields.fail("depth_multiplier", "no such number of filters");
  std::vector<LayerParameter> parameters = {{"filters", yaml_number(static_cast<double>(filters))}};
  append_window(parameters, window, {1, 1});
  if (channels != 1) parameters.emplace_back("groups", yaml_number(channels));
  if (with_bias) {
    append_bias(call, parameters);
  } else {
    parameters.emplace_back("bias", yaml_boolean(false));
  }
  return call.write("conv2d", std::move(parameters), dims_after(call, window, static_cast<int>(filters)), part);
}

KerasValue depthwise_conv2d(const Call& call) { return keras_activation(call, depthwise(call, true, "")); }

// Two convolutions: each channel by itself, then 1x1 with the bias.
KerasValue separable_conv2d(const Call& call) {
  const KerasValue middle = depthwise(call, false, "depthwise");
  const int filters = at_least_one(call, "filters");
  std::vector<LayerParameter> parameters = {{"filters", yaml_number(filters)}, {"kernel", yaml_number(1)}};
  append_bias(call, parameters);
  const std::vector<int> dims = {middle.dims[0], middle.dims[1], filters};
  return keras_activation(call, call.write(middle, "conv2d", std::move(parameters), dims, "pointwise"));
}

// Rows and columns that no window reaches, behind the others.
Pair output_padding(const Call& call, const KerasWindow& window) {
  Pair behind{};
  for (size_t axis = 0; axis < 2; ++axis) {
    if (!window.same) behind[axis] = std::max(window.stride[axis] - window.kernel[axis], 0);
  }
  if (!call.fields.has("output_padding")) return behind;
  if (window.same) call.fields.refuse("Convoy has no transposed convolution with both `same` and output_padding");
  const nlohmann::json& given = call.fields.require("output_padding");
  const bool both = given.is_array() && given.size() == 2;
  for (size_t axis = 0; axis < 2; ++axis) {
    if (!as_integer(both ? given[axis] : given, behind[axis]) || behind[axis] < 0) {
      call.fields.fail("output_padding", "expected a number or two, from 0");
    }
  }
  return behind;
}

// `same` makes an output of input · stride; `valid` of (input - 1) · stride + the larger of kernel and stride.
KerasValue conv2d_transpose(const Call& call) {
  const KerasWindow window = convolution_window(call);
  if (window.dilation != Pair{1, 1}) call.fields.refuse("Convoy has no transposed convolution with dilation");
  const int filters = at_least_one(call, "filters");
  std::vector<LayerParameter> parameters = {{"filters", yaml_number(filters)}};
  append_window(parameters, window, {1, 1});
  const Pair behind = output_padding(call, window);
  if (behind != Pair{0, 0}) parameters.emplace_back("output_padding", yaml_pair(behind));
  append_bias(call, parameters);
  std::vector<int> dims = {0, 0, filters};
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t input = call.x().dims[axis], stride = window.stride[axis];
    const int64_t all = window.same ? input * stride : (input - 1) * stride + window.kernel[axis] + behind[axis];
    if (all > 1 << 20) call.fields.refuse("makes an image larger than any");
    if (input > 0) dims[axis] = static_cast<int>(all);
  }
  return keras_activation(call, call.write("conv_transpose", std::move(parameters), std::move(dims)));
}

// TensorFlow's average does not count the padding, nor does ours.
KerasValue pool(const Call& call, const std::string& type) {
  call.require_image();
  call.require_channels_last();
  KerasWindow window{.kernel = call.fields.pair_or("pool_size", {2, 2})};
  window.stride = call.fields.pair_or("strides", window.kernel);
  window.same = padding_is_same(call);
  std::vector<LayerParameter> parameters;
  append_window(parameters, window, window.kernel);
  return call.write(type, std::move(parameters), dims_after(call, window, call.channels()));
}

KerasValue max_pool(const Call& call) { return pool(call, "max_pool"); }
KerasValue average_pool(const Call& call) { return pool(call, "average_pool"); }

KerasValue global(const Call& call, const std::string& type) {
  call.require_image();
  call.require_channels_last();
  const int channels = call.x().dims[2];
  const std::vector<int> dims =
      call.fields.boolean_or("keepdims", false) ? std::vector<int>{1, 1, channels} : std::vector<int>{channels};
  return call.write(type, {}, dims);
}

KerasValue global_average(const Call& call) { return global(call, "global_average"); }
KerasValue global_max(const Call& call) { return global(call, "global_max"); }

// Of an image: each pixel by itself, a 1x1 convolution.
KerasValue dense(const Call& call) {
  const int units = at_least_one(call, "units");
  std::vector<int> dims = call.x().dims;
  if (dims.size() == 2) call.fields.refuse("Convoy has no Dense over one axis of two");
  const bool pixels = dims.size() == 3;
  dims.back() = units;
  std::vector<LayerParameter> parameters = {{pixels ? "filters" : "units", yaml_number(units)}};
  if (pixels) parameters.emplace_back("kernel", yaml_number(1));
  append_bias(call, parameters);
  return keras_activation(call, call.write(pixels ? "conv2d" : "linear", std::move(parameters), std::move(dims)));
}

}  // namespace

const KerasTable kKerasWindows = {
    {"AveragePooling2D", average_pool},    {"Conv2D", conv2d},
    {"Conv2DTranspose", conv2d_transpose}, {"Dense", dense},
    {"DepthwiseConv2D", depthwise_conv2d}, {"GlobalAveragePooling2D", global_average},
    {"GlobalMaxPooling2D", global_max},    {"MaxPooling2D", max_pool},
    {"SeparableConv2D", separable_conv2d},
};

}  // namespace convoy
