#include "tests/cases/layer_cases.h"

#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/concat.h"
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
#include "layers/upsample.h"
#include "tests/cases/case_parts.h"

namespace convoy {
namespace {

Window ceil(Window window) {
  window.ceil = true;
  return window;
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

// Large enough that own loops are shared out among threads.
Cases threaded_cases() {
  constexpr Shape kImages{4, 23, 23, 17};
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
  };
}

// ---- Sizes met in practice.  ResNet-18 and VGG on CIFAR (32x32) and ImageNet (224x224), LeNet on MNIST.
Cases benchmark_cases() {
  constexpr int kRows = 32;
  constexpr Shape kBlock1{kRows, 32, 32, 64}, kBlock4{kRows, 4, 4, 512};
  const Window same3 = window(3, 1, pad(1));
  const auto batch_norm = [](bool add, bool relu) {
    return make<BatchNorm>(BatchNormOptions{.add = add, .relu = relu});
  };
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
