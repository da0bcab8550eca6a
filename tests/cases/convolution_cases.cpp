#include "layers/conv_transpose.h"
#include "tests/cases/case_parts.h"

namespace convoy {

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
       .mode = Mode::kEval,
       .roundings = 2},
      {.name = "conv2d_add_relu_eval",
       .layer = conv(17, window(1), 1, kBias, kRelu, kAdd),
       .inputs = {{2, 5, 7, 5}, {2, 5, 7, 17}},
       .mode = Mode::kEval,
       .roundings = 2},
      {.name = "conv2d_add_relu_no_bias_eval",
       .layer = conv(32, window(3, 2, pad(1)), 1, kNoBias, kRelu, kAdd),
       .inputs = {{2, 9, 9, 16}, {2, 5, 5, 32}},
       .mode = Mode::kEval,
       .roundings = 2},
      {.name = "conv2d_add_relu_depthwise_eval",
       .layer = conv(16, window(3, 1, pad(1)), 16, kBias, kRelu, kAdd),
       .inputs = {{2, 6, 6, 16}, {2, 6, 6, 16}},
       .mode = Mode::kEval,
       .roundings = 2},
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

}  // namespace convoy
