#include "tests/cases/layer_cases.h"

#include "core/device/target.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/normalize.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/upsample.h"
#include "tests/cases/case_parts.h"

namespace convoy {
namespace {

using Cases = std::vector<LayerCase>;

constexpr Padding kSame = Padding::same(), kValid = Padding::valid();
constexpr Padding pad(int amount) { return Padding::number(amount); }

Window window(int kernel, int stride = 1, Padding padding = kValid, int dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, padding};
}

Window ceil(Window window) {
  window.ceil = true;
  return window;
}

std::function<std::unique_ptr<Layer>()> conv(int filters, const Window& window, int groups = 1, bool bias = true,
                                             bool relu = false, bool add = false) {
  return make<Conv2d>(
      Conv2dOptions{.filters = filters, .window = window, .groups = groups, .bias = bias, .relu = relu, .add = add});
}

constexpr bool kNoBias = false, kBias = true, kRelu = true, kAdd = true;

Cases conv_cases() {
  return {
      {"conv2d_1x1", conv(16, window(1)), {{2, 5, 5, 16}}},
      {"conv2d_3x3", conv(16, window(3, 1, pad(1))), {{2, 7, 7, 16}}},
      {"conv2d_of_1_channel", conv(5, window(3, 1, pad(1))), {{3, 9, 9, 1}}},
      {"conv2d_of_3_channels", conv(17, window(7, 2, pad(3))), {{2, 15, 15, 3}}},
      {"conv2d_of_3_channels_into_32", conv(32, window(3, 1, kSame)), {{2, 8, 8, 3}}},
      {"conv2d_of_5_channels", conv(3, window(3, 1, pad(1))), {{2, 6, 9, 5}}},
      {"conv2d_of_17_channels", conv(33, window(3, 1, pad(1))), {{2, 6, 5, 17}}},
      {"conv2d_of_33_channels", conv(1, window(3)), {{1, 7, 6, 33}}},
      {"conv2d_of_32_channels", conv(48, window(3, 2, pad(1))), {{2, 9, 9, 32}}},
      {"conv2d_one_image_of_one_pixel", conv(6, window(1)), {{1, 1, 1, 7}}},
      {"conv2d_of_one_pixel_padded", conv(8, window(3, 1, pad(1))), {{4, 1, 1, 8}}},
      {"conv2d_one_output_pixel", conv(10, window(5)), {{2, 5, 5, 4}}},
      {"conv2d_same_even_kernel", conv(8, window(2, 1, kSame)), {{2, 5, 5, 3}}},
      {"conv2d_same_even_kernel_wide", conv(16, window(4, 1, kSame)), {{1, 7, 6, 16}}},
      {"conv2d_same_stride_2_even_size", conv(8, window(3, 2, kSame)), {{2, 8, 8, 3}}},
      {"conv2d_same_stride_2_odd_size", conv(8, window(3, 2, kSame)), {{2, 7, 9, 3}}},
      {"conv2d_same_even_kernel_stride_2", conv(16, window(4, 2, kSame)), {{2, 9, 8, 16}}},
      {"conv2d_same_stride_above_kernel", conv(4, window(2, 3, kSame)), {{2, 10, 11, 4}}},
      {"conv2d_stride_above_kernel", conv(16, window(1, 2)), {{2, 7, 8, 16}}},
      {"conv2d_stride_leaves_a_rest", conv(4, window(3, 3)), {{2, 11, 10, 4}}},
      {"conv2d_kernel_1x7", conv(8, {.kernel_w = 7, .padding = {Padding::Kind::kNumber, 0, 3}}), {{2, 6, 9, 8}}},
      {"conv2d_strides_differ",
       conv(8, {.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .padding = {Padding::Kind::kNumber, 1, 0}}),
       {{2, 8, 7, 5}}},
      {"conv2d_dilation_2", conv(8, window(3, 1, pad(2), 2)), {{2, 9, 8, 8}}},
      {"conv2d_dilation_3_same", conv(5, window(3, 1, kSame, 3)), {{1, 11, 9, 3}}},
      {"conv2d_dilation_2_stride_2", conv(16, window(3, 2, kSame, 2)), {{2, 10, 9, 16}}},
      {"conv2d_groups_2", conv(8, window(3, 1, pad(1)), 2), {{2, 7, 7, 6}}},
      {"conv2d_groups_of_16", conv(32, window(3, 1, pad(1)), 2), {{2, 6, 6, 32}}},
      {"conv2d_groups_of_odd_size", conv(15, window(3, 2, pad(1)), 3), {{2, 8, 7, 9}}},
      {"conv2d_depthwise_16", conv(16, window(3, 1, pad(1)), 16), {{2, 8, 8, 16}}},
      {"conv2d_depthwise_17", conv(17, window(3, 1, pad(1)), 17), {{2, 6, 7, 17}}},
      {"conv2d_depthwise_stride_2", conv(24, window(5, 2, kSame), 24), {{2, 9, 8, 24}}},
      {"conv2d_depthwise_same_even_size", conv(32, window(3, 2, kSame), 32), {{2, 8, 10, 32}}},
      {"conv2d_depthwise_same_even_kernel", conv(20, window(4, 1, kSame), 20), {{1, 7, 8, 20}}},
      {"conv2d_depthwise_dilation_2", conv(16, window(3, 1, pad(2), 2), 16), {{2, 9, 8, 16}}},
      {"conv2d_depthwise_kernel_above_image", conv(16, window(5, 1, pad(2)), 16), {{2, 3, 2, 16}}},
      {"conv2d_depthwise_stride_3", conv(16, window(2, 3), 16), {{2, 9, 8, 16}}},
      {"conv2d_depthwise_multiplier_2", conv(12, window(3, 1, pad(1)), 6), {{2, 6, 6, 6}}},
      {"conv2d_depthwise_multiplier_2_of_32", conv(64, window(3, 1, pad(1)), 32), {{2, 6, 6, 32}}},
      {"conv2d_depthwise_multiplier_2_same_even_size", conv(32, window(3, 2, kSame), 16), {{2, 8, 6, 16}}},
      {"conv2d_depthwise_multiplier_2_relu", conv(32, window(3, 1, kSame), 16, kBias, kRelu), {{2, 5, 6, 16}}},
      {"conv2d_groups_4", conv(64, window(3, 1, pad(1)), 4), {{2, 6, 6, 64}}},
      {"conv2d_groups_4_stride_2", conv(32, window(3, 2, pad(1)), 4), {{2, 8, 7, 32}}},
      {"conv2d_groups_4_same_even_size", conv(16, window(3, 2, kSame), 4), {{2, 8, 6, 8}}},
      {"conv2d_groups_4_of_odd_size", conv(12, window(3, 1, pad(1)), 4, kNoBias), {{2, 6, 5, 20}}},
      {"conv2d_groups_1x1", conv(32, window(1), 4), {{2, 6, 6, 32}}},
      {"conv2d_no_bias", conv(16, window(3, 1, pad(1)), 1, kNoBias), {{2, 7, 7, 8}}},
      {"conv2d_no_bias_depthwise", conv(5, window(3, 1, pad(1)), 5, kNoBias), {{2, 6, 6, 5}}},
      {"conv2d_relu", conv(16, window(3, 1, pad(1)), 1, kBias, kRelu), {{2, 7, 7, 16}}},
      {"conv2d_relu_odd_channels", conv(17, window(3, 1, pad(1)), 1, kBias, kRelu), {{2, 6, 5, 5}}},
      {"conv2d_relu_no_bias", conv(8, window(2, 2), 1, kNoBias, kRelu), {{2, 6, 6, 3}}},
      {"conv2d_relu_depthwise", conv(16, window(3, 1, pad(1)), 16, kBias, kRelu), {{2, 6, 6, 16}}},
      {.name = "conv2d_first_layer",
       .layer = conv(16, window(3, 1, pad(1))),
       .inputs = {{2, 9, 9, 3}},
       .wants_dx = {false}},
      {.name = "conv2d_frozen", .layer = conv(16, window(3, 1, pad(1))), .inputs = {{2, 7, 7, 16}}, .wants_dw = false},
      {.name = "conv2d_frozen_first_layer",
       .layer = conv(16, window(3, 1, pad(1))),
       .inputs = {{2, 7, 7, 3}},
       .wants_dx = {false},
       .wants_dw = false},
      {.name = "conv2d_relu_first_layer",
       .layer = conv(16, window(3, 1, pad(1)), 1, kBias, kRelu),
       .inputs = {{2, 9, 9, 3}},
       .wants_dx = {false}},
      {.name = "conv2d_relu_frozen",
       .layer = conv(16, window(3, 1, pad(1)), 1, kBias, kRelu),
       .inputs = {{2, 7, 7, 16}},
       .wants_dw = false},
      {.name = "conv2d_eval", .layer = conv(5, window(3, 1, pad(1))), .inputs = {{2, 7, 7, 3}}, .mode = Mode::kEval},
      {.name = "conv2d_relu_eval",
       .layer = conv(16, window(3, 1, pad(1)), 1, kBias, kRelu),
       .inputs = {{1, 7, 7, 16}},
       .mode = Mode::kEval},
      {.name = "conv2d_add_eval",
       .layer = conv(16, window(3, 1, pad(1)), 1, kBias, false, kAdd),
       .inputs = {{2, 7, 7, 16}, {2, 7, 7, 16}},
       .mode = Mode::kEval},
      {.name = "conv2d_add_relu_eval",
       .layer = conv(17, window(1), 1, kBias, kRelu, kAdd),
       .inputs = {{2, 5, 7, 5}, {2, 5, 7, 17}},
       .mode = Mode::kEval},
      {.name = "conv2d_add_relu_no_bias_eval",
       .layer = conv(32, window(3, 2, pad(1)), 1, kNoBias, kRelu, kAdd),
       .inputs = {{2, 9, 9, 16}, {2, 5, 5, 32}},
       .mode = Mode::kEval},
      {.name = "conv2d_add_relu_depthwise_eval",
       .layer = conv(16, window(3, 1, pad(1)), 16, kBias, kRelu, kAdd),
       .inputs = {{2, 6, 6, 16}, {2, 6, 6, 16}},
       .mode = Mode::kEval},
  };
}

Cases conv_transpose_cases() {
  const auto transpose = [](int filters, const Window& window, int output_padding = 0, bool bias = true) {
    return make<ConvTranspose>(ConvTransposeOptions{filters, window, output_padding, output_padding, bias});
  };
  return {
      {"conv_transpose_2x2_stride_2", transpose(16, window(2, 2)), {{2, 4, 5, 16}}},
      {"conv_transpose_3x3", transpose(8, window(3)), {{2, 4, 5, 5}}},
      {"conv_transpose_padded", transpose(17, window(3, 2, pad(1))), {{2, 5, 4, 33}}},
      {"conv_transpose_output_padding", transpose(16, window(3, 2, pad(1)), 1), {{2, 5, 4, 32}}},
      {"conv_transpose_output_padding_above_padding", transpose(8, window(4, 3, pad(0)), 2), {{2, 3, 4, 16}}},
      {"conv_transpose_same", transpose(16, window(3, 2, kSame)), {{2, 4, 5, 16}}},
      {"conv_transpose_same_even_kernel", transpose(5, window(4, 2, kSame)), {{2, 4, 3, 7}}},
      {"conv_transpose_same_stride_1", transpose(3, window(2, 1, kSame)), {{2, 4, 3, 3}}},
      {"conv_transpose_stride_above_kernel", transpose(8, window(2, 3)), {{2, 3, 4, 8}}},
      {"conv_transpose_same_stride_above_kernel", transpose(8, window(2, 3, kSame)), {{2, 3, 4, 8}}},
      {"conv_transpose_of_one_pixel", transpose(16, window(4)), {{3, 1, 1, 20}}},
      {"conv_transpose_1x1", transpose(9, window(1)), {{2, 3, 4, 4}}},
      {"conv_transpose_of_one_channel", transpose(1, window(3, 2, pad(1))), {{2, 4, 4, 1}}},
      {"conv_transpose_no_bias", transpose(16, window(2, 2), 0, kNoBias), {{2, 4, 5, 16}}},
      {.name = "conv_transpose_frozen",
       .layer = transpose(16, window(2, 2)),
       .inputs = {{2, 4, 5, 16}},
       .wants_dw = false},
      {.name = "conv_transpose_first_layer",
       .layer = transpose(16, window(3, 2, kSame)),
       .inputs = {{2, 4, 5, 3}},
       .wants_dx = {false}},
      {.name = "conv_transpose_eval",
       .layer = transpose(5, window(3, 2, pad(1))),
       .inputs = {{2, 4, 5, 16}},
       .mode = Mode::kEval},
  };
}

Cases linear_cases() {
  const auto linear = [](int units, bool bias = true, bool relu = false) {
    return make<Linear>(LinearOptions{units, bias, relu});
  };
  return {
      {"linear", linear(10), {{8, 1, 1, 64}}},
      {"linear_one_row", linear(16), {{1, 1, 1, 32}}},
      {"linear_one_unit", linear(1), {{5, 1, 1, 17}}},
      {"linear_of_one_feature", linear(3), {{4, 1, 1, 1}}},
      {"linear_odd", linear(33), {{7, 1, 1, 129}}},
      {"linear_no_bias", linear(5, kNoBias), {{6, 1, 1, 13}}},
      {"linear_relu", linear(24, kBias, kRelu), {{9, 1, 1, 48}}},
      {"linear_relu_no_bias", linear(7, kNoBias, kRelu), {{9, 1, 1, 11}}},
      {.name = "linear_first_layer", .layer = linear(10), .inputs = {{8, 1, 1, 20}}, .wants_dx = {false}},
      {.name = "linear_frozen", .layer = linear(10), .inputs = {{8, 1, 1, 20}}, .wants_dw = false},
      {.name = "linear_relu_first_layer",
       .layer = linear(10, kBias, kRelu),
       .inputs = {{8, 1, 1, 20}},
       .wants_dx = {false}},
      {.name = "linear_relu_frozen", .layer = linear(10, kBias, kRelu), .inputs = {{8, 1, 1, 20}}, .wants_dw = false},
      {.name = "linear_eval", .layer = linear(10), .inputs = {{3, 1, 1, 20}}, .mode = Mode::kEval},
  };
}

Cases pool_cases() {
  Cases cases;
  const auto both = [&](const std::string& name, const Window& window, const Shape& x) {
    cases.push_back({"max_pool_" + name, make<MaxPool>(window), {x}});
    cases.push_back({"average_pool_" + name, make<AveragePool>(window), {x}});
  };
  both("2x2", window(2, 2), {2, 8, 8, 16});
  both("2x2_odd_size", window(2, 2), {2, 7, 9, 5});
  both("2x2_same_odd_size", window(2, 2, kSame), {2, 7, 5, 17});
  both("3x3_overlap_padded", window(3, 2, pad(1)), {2, 9, 8, 33});
  both("3x3_same_stride_1", window(3, 1, kSame), {2, 6, 5, 3});
  both("even_kernel_same_stride_1", window(2, 1, kSame), {1, 5, 6, 8});
  both("stride_above_kernel", window(2, 3), {2, 8, 9, 1});
  both("whole_image", window(5), {3, 5, 5, 6});
  both("one_pixel", window(1), {1, 1, 1, 3});
  both("1x3", {.kernel_w = 3, .stride_w = 2, .padding = {}}, {2, 4, 9, 7});
  both("many_channels", window(2, 2), {1, 6, 6, 70});
  both("17x17", window(17), {1, 18, 19, 3});
  both("ceil", ceil(window(3, 2)), {2, 8, 7, 17});
  both("ceil_last_window_in_padding", ceil(window(2, 2, pad(1))), {2, 7, 8, 5});  // height: it would begin behind 7 + 1
  both("ceil_stride_above_kernel", ceil(window(2, 3, pad(1))), {1, 8, 9, 16});
  both("ceil_image_below_kernel", ceil(window(3, 2)), {1, 2, 3, 8});
  both("5x4_padded", {5, 4, 2, 3, 1, 1, {Padding::Kind::kNumber, 2, 1}}, {2, 9, 11, 16});
  const auto with_padding = [&](const std::string& name, const Window& window, const Shape& x) {
    cases.push_back({"average_pool_include_padding_" + name, make<AveragePool>(window, true), {x}});
  };
  with_padding("3x3", window(3, 2, pad(1)), {2, 9, 8, 33});
  with_padding("same", window(3, 2, kSame), {2, 8, 7, 16});
  with_padding("ceil", ceil(window(3, 2, pad(1))), {2, 8, 7, 5});
  with_padding("ceil_stride_3", ceil(window(4, 3, pad(2))), {2, 9, 10, 16});
  with_padding("none", window(2, 2), {2, 7, 6, 3});
  cases.push_back({"global_average", make<GlobalAverage>(), {{2, 7, 7, 16}}});
  cases.push_back({"global_average_odd", make<GlobalAverage>(), {{3, 5, 4, 33}}});
  cases.push_back({"global_average_one_pixel", make<GlobalAverage>(), {{1, 1, 1, 5}}});
  cases.push_back({.name = "max_pool_eval",
                   .layer = make<MaxPool>(window(3, 2, pad(1))),
                   .inputs = {{2, 8, 8, 5}},
                   .mode = Mode::kEval});
  cases.push_back({.name = "average_pool_no_gradient",
                   .layer = make<AveragePool>(window(2, 2)),
                   .inputs = {{2, 8, 8, 5}},
                   .wants_dx = {false}});
  return cases;
}

Cases elementwise_cases() {
  const auto dropout = [](float rate) { return make<Dropout>(rate, 3U); };
  constexpr Shape kEven{2, 6, 6, 16}, kOdd{3, 5, 4, 17};
  return {
      {"relu", make<Relu>(), {kEven}},
      {"relu_odd", make<Relu>(), {kOdd}},
      {"relu_one_element", make<Relu>(), {{1, 1, 1, 1}}},
      {.name = "relu_no_gradient", .layer = make<Relu>(), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "relu_eval", .layer = make<Relu>(), .inputs = {kOdd}, .mode = Mode::kEval},
      {.name = "dropout", .layer = dropout(0.5F), .inputs = {kEven}, .scalars = {.step = 7, .seed = 42}},
      {.name = "dropout_odd",
       .layer = dropout(0.1F),
       .inputs = {kOdd},
       .scalars = {.step = (int64_t{1} << 31) + 5, .first_row = 1000, .seed = ~uint64_t{0}}},
      {.name = "dropout_of_features",
       .layer = dropout(0.75F),
       .inputs = {{5, 1, 1, 131}},
       .scalars = {.step = 1, .first_row = 3}},
      {.name = "dropout_rate_0", .layer = dropout(0), .inputs = {kOdd}},
      {.name = "dropout_no_gradient", .layer = dropout(0.5F), .inputs = {kOdd}, .wants_dx = {false}},
      {.name = "dropout_eval", .layer = dropout(0.5F), .inputs = {kOdd}, .mode = Mode::kEval},
      {"flatten", make<Flatten>(), {{2, 4, 5, 3}}},
      {.name = "flatten_eval", .layer = make<Flatten>(), .inputs = {{2, 1, 1, 9}}, .mode = Mode::kEval},
      {"add", make<Add>(), {kEven, kEven}},
      {"add_odd", make<Add>(), {kOdd, kOdd}},
      {"add_three", make<Add>(), {kOdd, kOdd, kOdd}},
      {.name = "add_half_wanted", .layer = make<Add>(), .inputs = {kOdd, kOdd}, .wants_dx = {false, true}},
      {.name = "add_eval", .layer = make<Add>(), .inputs = {kOdd, kOdd}, .mode = Mode::kEval},
      {"concat", make<Concat>(), {{2, 4, 4, 16}, {2, 4, 4, 32}}},
      {"concat_odd", make<Concat>(), {{2, 3, 5, 17}, {2, 3, 5, 5}}},
      {"concat_three", make<Concat>(), {{2, 5, 3, 1}, {2, 5, 3, 3}, {2, 5, 3, 33}}},
      {"concat_of_features", make<Concat>(), {{4, 1, 1, 7}, {4, 1, 1, 10}}},
      {.name = "concat_middle_unwanted",
       .layer = make<Concat>(),
       .inputs = {{2, 3, 3, 8}, {2, 3, 3, 3}, {2, 3, 3, 16}},
       .wants_dx = {true, false, true}},
      {.name = "concat_eval", .layer = make<Concat>(), .inputs = {{2, 3, 5, 17}, {2, 3, 5, 5}}, .mode = Mode::kEval},
      {"normalize", make<Normalize>(std::vector{0.13F}, std::vector{0.31F}), {{3, 9, 7, 1}}},
      {"normalize_per_channel",
       make<Normalize>(std::vector{0.485F, 0.456F, 0.406F}, std::vector{0.229F, 0.224F, 0.225F}),
       {{2, 7, 5, 3}}},
      {"normalize_bgr",
       make<Normalize>(std::vector{0.4F, 0.5F, 0.6F}, std::vector{0.2F, 0.3F, 0.25F}, true),
       {{3, 9, 7, 3}}},
      {"normalize_bgr_threads", make<Normalize>(std::vector{0.5F}, std::vector{0.25F}, true), {{5, 64, 65, 3}}},
      {"normalize_many_channels", make<Normalize>(std::vector(150, 0.4F), std::vector(150, 0.3F)), {{2, 3, 3, 150}}},
      {"normalize_one_for_all", make<Normalize>(std::vector{0.5F}, std::vector{1.0F}), {{1, 4, 4, 4}}},
  };
}

Cases loss_cases() {
  const auto loss = make<SoftmaxCrossEntropy>();
  const auto on = [](int rows, int classes) { return std::vector<Shape>{{rows, 1, 1, classes}, targets_shape(rows)}; };
  return {
      {.name = "softmax_cross_entropy",
       .layer = loss,
       .inputs = on(8, 10),
       .scalars = {.one_over_global_rows = 0.125F}},
      {.name = "softmax_cross_entropy_padded_rows",
       .layer = loss,
       .inputs = on(7, 33),
       .scalars = {.one_over_global_rows = 1.0F / 60, .valid_rows = 4},
       .loss_scale = 1024},
      {.name = "softmax_cross_entropy_two_classes", .layer = loss, .inputs = on(5, 2)},
      {.name = "softmax_cross_entropy_one_class", .layer = loss, .inputs = on(3, 1)},
      {.name = "softmax_cross_entropy_large_logits", .layer = loss, .inputs = on(16, 17), .std = 60},
      {.name = "softmax_cross_entropy_eval",
       .layer = loss,
       .inputs = on(6, 10),
       .mode = Mode::kEval,
       .scalars = {.valid_rows = 5}},
  };
}

// Large enough that own loops are shared out among threads.
Cases threaded_cases() {
  constexpr Shape kImages{4, 23, 23, 17};
  const auto loss = make<SoftmaxCrossEntropy>();
  return {
      {"batch_norm_threads", make<BatchNorm>(BatchNormOptions{}), {kImages}},
      {"batch_norm_relu_threads", make<BatchNorm>(BatchNormOptions{.relu = true}), {kImages}},
      {"batch_norm_of_features_threads", make<BatchNorm>(BatchNormOptions{}), {{150, 1, 1, 300}}},
      {"relu_threads", make<Relu>(), {kImages}},
      {"add_threads", make<Add>(), {kImages, kImages}},
      {"concat_threads", make<Concat>(), {kImages, {4, 23, 23, 3}}},
      {.name = "dropout_threads", .layer = make<Dropout>(0.5F, 1U), .inputs = {kImages}, .scalars = {.step = 3}},
      {"max_pool_threads", make<MaxPool>(window(3, 2, pad(1))), {kImages}},
      {"average_pool_threads", make<AveragePool>(window(3, 2, pad(1))), {kImages}},
      {"group_norm_threads", make<GroupNorm>(GroupNormOptions{.groups = 17}), {kImages}},
      {"layer_norm_threads", make<LayerNorm>(1e-5F), {kImages}},
      {"lrn_threads", make<Lrn>(LrnOptions{.alpha = 1}), {kImages}},
      {"upsample_threads", make<Upsample>(UpsampleOptions{2, 2, true}), {{4, 12, 13, 17}}},
      {"pad_threads", make<Pad>(PadOptions{0, 1, 2, 3, 0.5F}), {kImages}},
      {"global_average_threads", make<GlobalAverage>(), {kImages}},
      {"conv2d_threads", conv(33, window(1)), {kImages}},
      {"normalize_threads", make<Normalize>(std::vector{0.5F}, std::vector{0.25F}), {{5, 64, 65, 3}}},
      {"softmax_cross_entropy_threads", loss, {{64, 1, 1, 600}, targets_shape(64)}},
  };
}

// Convolutions in groups on ImageNet, by channels, filters, groups, height and width, kernel, stride.
Cases grouped_benchmark_cases() {
  constexpr int kRows = 8;
  const struct {
    const char* name;
    int channels, filters, groups, size, kernel, stride;
  } kTable[] = {
      {"mobilenetv2_32x112", 32, 32, 32, 112, 3, 1},
      {"mobilenetv2_96x112_down", 96, 96, 96, 112, 3, 2},
      {"mobilenetv2_144x56", 144, 144, 144, 56, 3, 1},
      {"mobilenetv2_144x56_down", 144, 144, 144, 56, 3, 2},
      {"mobilenetv2_192x28", 192, 192, 192, 28, 3, 1},
      {"mobilenetv2_192x28_down", 192, 192, 192, 28, 3, 2},
      {"mobilenetv2_384x14", 384, 384, 384, 14, 3, 1},
      {"mobilenetv2_576x14", 576, 576, 576, 14, 3, 1},
      {"mobilenetv2_576x14_down", 576, 576, 576, 14, 3, 2},
      {"mobilenetv2_960x7", 960, 960, 960, 7, 3, 1},
      {"efficientnet_144x56_down", 144, 144, 144, 56, 5, 2},
      {"efficientnet_240x28", 240, 240, 240, 28, 5, 1},
      {"efficientnet_480x14", 480, 480, 480, 14, 5, 1},
      {"efficientnet_672x14_down", 672, 672, 672, 14, 5, 2},
      {"efficientnet_1152x7", 1152, 1152, 1152, 7, 5, 1},
      {"resnext_128x56", 128, 128, 32, 56, 3, 1},
      {"resnext_256x28", 256, 256, 32, 28, 3, 1},
      {"groups_4_256x28", 256, 256, 4, 28, 3, 1},
      {"multiplier_2_64x56", 64, 128, 64, 56, 3, 1},
  };
  Cases cases;
  for (const auto& row : kTable) {
    const Window window_of = window(row.kernel, row.stride, pad(row.kernel / 2));
    cases.push_back({std::string("conv2d_") + row.name,
                     conv(row.filters, window_of, row.groups, kNoBias),
                     {{kRows, row.size, row.size, row.channels}}});
  }
  return cases;
}

// ---- Sizes met in practice.  ResNet-18 and VGG on CIFAR (32x32) and ImageNet (224x224), LeNet on MNIST.
Cases benchmark_cases() {
  constexpr int kRows = 32;
  constexpr Shape kBlock1{kRows, 32, 32, 64}, kBlock4{kRows, 4, 4, 512};
  const Window same3 = window(3, 1, pad(1));
  const auto batch_norm = [](bool add, bool relu) {
    return make<BatchNorm>(BatchNormOptions{.add = add, .relu = relu});
  };
  const auto loss = make<SoftmaxCrossEntropy>();
  Cases cases = {
      {"normalize_cifar", make<Normalize>(std::vector{0.5F}, std::vector{0.25F}), {{kRows, 32, 32, 3}}},
      {"conv2d_lenet_first", conv(32, window(3), 1, kBias, kRelu), {{kRows, 28, 28, 1}}},
      {"conv2d_lenet_second", conv(64, window(3), 1, kBias, kRelu), {{kRows, 26, 26, 32}}},
      {"conv2d_resnet_stem", conv(64, same3, 1, kNoBias), {{kRows, 32, 32, 3}}},
      {"conv2d_resnet_block1", conv(64, same3, 1, kNoBias), {kBlock1}},
      {"conv2d_resnet_block2_down", conv(128, window(3, 2, pad(1)), 1, kNoBias), {kBlock1}},
      {"conv2d_resnet_block2_shortcut", conv(128, window(1, 2), 1, kNoBias), {kBlock1}},
      {"conv2d_resnet_block4", conv(512, same3, 1, kNoBias), {kBlock4}},
      {"conv2d_imagenet_stem", conv(64, window(7, 2, pad(3)), 1, kNoBias), {{4, 224, 224, 3}}},
      {"conv2d_vgg_block2", conv(128, same3, 1, kBias, kRelu), {{kRows, 16, 16, 128}}},
      {"conv2d_mobilenet_depthwise", conv(128, same3, 128, kNoBias), {{kRows, 16, 16, 128}}},
      {"linear_lenet", make<Linear>(LinearOptions{128, kBias, kRelu}), {{kRows, 1, 1, 9216}}},
      {"linear_vgg", make<Linear>(LinearOptions{4096, kBias, kRelu}), {{kRows, 1, 1, 4096}}},
      {"linear_resnet_head", make<Linear>(LinearOptions{1000}), {{kRows, 1, 1, 512}}},
      {"batch_norm_resnet_block1", batch_norm(false, false), {kBlock1}},
      {"batch_norm_relu_resnet_block1", batch_norm(false, kRelu), {kBlock1}},
      {"batch_norm_add_relu_resnet_block1", batch_norm(true, kRelu), {kBlock1, kBlock1}},
      {"group_norm_resnet_block1", make<GroupNorm>(GroupNormOptions{.groups = 32}), {kBlock1}},
      {"layer_norm_convnext", make<LayerNorm>(1e-6F), {{8, 56, 56, 96}}},
      {"conv_transpose_unet",
       make<ConvTranspose>(ConvTransposeOptions{.filters = 128, .window = window(2, 2)}),
       {{8, 28, 28, 256}}},
      {"conv_transpose_dcgan",
       make<ConvTranspose>(ConvTransposeOptions{.filters = 128, .window = window(4, 2, pad(1)), .bias = false}),
       {{kRows, 8, 8, 256}}},
      {"lrn_alexnet", make<Lrn>(LrnOptions{}), {{8, 55, 55, 96}}},
      {"upsample_unet", make<Upsample>(UpsampleOptions{2, 2, false}), {{8, 28, 28, 256}}},
      {"upsample_bilinear_unet", make<Upsample>(UpsampleOptions{2, 2, true}), {{8, 28, 28, 256}}},
      {"relu_resnet_block1", make<Relu>(), {kBlock1}},
      {"add_resnet_block1", make<Add>(), {kBlock1, kBlock1}},
      {"concat_dense_block", make<Concat>(), {{kRows, 16, 16, 128}, {kRows, 16, 16, 32}}},
      {"dropout_lenet", make<Dropout>(0.25F, 0U), {{kRows, 12, 12, 64}}},
      {"max_pool_lenet", make<MaxPool>(window(2, 2)), {{kRows, 24, 24, 64}}},
      {"max_pool_imagenet", make<MaxPool>(window(3, 2, pad(1))), {{4, 112, 112, 64}}},
      {"average_pool_densenet", make<AveragePool>(window(2, 2)), {{kRows, 16, 16, 128}}},
      {"global_average_resnet", make<GlobalAverage>(), {kBlock4}},
      {"softmax_cross_entropy_imagenet", loss, {{kRows, 1, 1, 1000}, targets_shape(kRows)}},
  };
  const Cases grouped = grouped_benchmark_cases();
  cases.insert(cases.end(), grouped.begin(), grouped.end());
  for (LayerCase& it : cases) it.benchmark = true;
  return cases;
}

Cases all_cases() {
  Cases all;
  for (const Cases& some : {conv_cases(), conv_transpose_cases(), linear_cases(), pool_cases(), batch_norm_cases(),
                            elementwise_cases(), image_cases(), norm_cases(), activation_cases(), gate_cases(),
                            loss_cases(), threaded_cases(), benchmark_cases()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  for (LayerCase& it : all) {
    if (it.scalars.valid_rows == 0) it.scalars.valid_rows = it.inputs[0].n;
  }
  return all;
}

}  // namespace

const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> cases = all_cases();
  return cases;
}

}  // namespace convoy
