// Shape rules: what comes out, and what a user is told when nothing can.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/class_losses.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/multiply.h"
#include "layers/normalize.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using Shapes = std::vector<Shape>;

Window window(int kernel, int stride, Padding padding, int dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, padding};
}

Shape shape_of(const Layer& layer, const Shapes& inputs) { return layer.shape(inputs); }

void expect_refused(const Layer& layer, const Shapes& inputs, const std::vector<std::string>& parts) {
  SCOPED_TRACE(layer.type());
  expect_error(ExitCode::kConfig, parts, [&] { layer.shape(inputs); });
}

// ---- Windows

// Made by hand from the definition in TensorFlow's documentation of tf.nn.convolution (SAME): output = ceil(in /
// stride), and what the windows need beyond the input is split, the odd one at the end.
TEST(Window, SameEqualsTensorflow) {
  const struct {
    int input, kernel, stride, dilation, output, low, high;
  } kTable[] = {
      {5, 1, 1, 1, 5, 0, 0}, {5, 2, 1, 1, 5, 0, 1},     {5, 3, 1, 1, 5, 1, 1},     {5, 4, 1, 1, 5, 1, 2},
      {8, 3, 2, 1, 4, 0, 1}, {7, 3, 2, 1, 4, 1, 1},     {8, 4, 2, 1, 4, 1, 1},     {9, 4, 2, 1, 5, 1, 2},
      {8, 2, 2, 1, 4, 0, 0}, {7, 2, 2, 1, 4, 0, 1},     {10, 2, 3, 1, 4, 0, 1},    {11, 2, 3, 1, 4, 0, 0},
      {1, 3, 1, 1, 1, 1, 1}, {1, 2, 2, 1, 1, 0, 1},     {11, 3, 1, 3, 11, 3, 3},   {10, 3, 2, 2, 5, 1, 2},
      {3, 1, 2, 1, 2, 0, 0}, {224, 7, 2, 1, 112, 2, 3}, {112, 3, 2, 1, 56, 0, 1},  {28, 5, 1, 1, 28, 2, 2},
      {5, 1, 3, 1, 2, 0, 0}, {2, 5, 1, 1, 2, 2, 2},     {299, 3, 2, 1, 150, 1, 1}, {6, 2, 4, 1, 2, 0, 0},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE("input " + std::to_string(row.input) + ", kernel " + std::to_string(row.kernel) + ", stride " +
                 std::to_string(row.stride) + ", dilation " + std::to_string(row.dilation));
    const Window same{
        .kernel_h = row.kernel, .stride_h = row.stride, .dilation_h = row.dilation, .padding = Padding::same()};
    const WindowAxis axis = window_axes(same, {1, row.input, 1, 1}).h;
    EXPECT_EQ(axis.output, row.output);
    EXPECT_EQ(axis.low, row.low);
    EXPECT_EQ(axis.high, row.high);
  }
}

TEST(Window, NumberAndValidRoundDown) {
  const auto output = [](int input, const Window& window) {
    return window_axes(window, {1, input, input, 1}).h.output;
  };
  EXPECT_EQ(output(224, window(7, 2, Padding::number(3))), 112);
  EXPECT_EQ(output(32, window(3, 1, Padding::number(1))), 32);
  EXPECT_EQ(output(7, window(2, 2, Padding::valid())), 3);
  EXPECT_EQ(output(11, window(3, 3, Padding::valid())), 3);
  EXPECT_EQ(output(9, window(3, 1, Padding::valid(), 4)), 1);
}

TEST(Window, HeightAndWidthAreTheirOwn) {
  const Window tall{3, 1, 2, 1, 1, 1, {Padding::Kind::kNumber, 1, 0}};
  const Conv2d conv({.filters = 4, .window = tall});
  EXPECT_EQ(shape_of(conv, {{2, 8, 5, 3}}), (Shape{2, 4, 5, 4}));
}

TEST(Window, SaysWhichOptionIsWrong) {
  const auto refused = [](const Window& window, const std::vector<std::string>& parts) {
    expect_refused(Conv2d({.filters = 1, .window = window}), {{1, 4, 4, 1}}, parts);
  };
  refused(window(0, 1, Padding::valid()), {"kernel", "1 or more", "found 0"});
  refused(window(1, 0, Padding::valid()), {"stride", "found 0"});
  refused(window(1, 1, Padding::valid(), 0), {"dilation", "found 0"});
  refused(window(1, 1, Padding::number(-1)), {"padding", "0 or more", "found -1"});
  refused(window(5, 1, Padding::valid()), {"covers 5 pixels of height", "only 4"});
  refused(window(7, 1, Padding::number(1)), {"covers 7 pixels", "only 6"});
  refused(window(3, 1, Padding::valid(), 2), {"covers 5 pixels", "only 4"});
  refused({1, 5, 1, 1, 1, 1, Padding::valid()}, {"width"});
}

// ---- Layers

TEST(Conv2d, HasWeightsByGroup) {
  const Conv2d conv({.filters = 8, .window = window(3, 1, Padding::same()), .groups = 2});
  EXPECT_EQ(shape_of(conv, {{2, 7, 9, 6}}), (Shape{2, 7, 9, 8}));
  const std::vector<ParameterSpec> parameters = conv.parameters(Shapes{{2, 7, 9, 6}});
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].shape, (Shape{8, 3, 3, 3}));
  EXPECT_EQ(parameters[1].shape, (Shape{1, 1, 1, 8}));
  EXPECT_EQ(conv.forward_flops(Shapes{{2, 7, 9, 6}}), int64_t{2} * (2 * 7 * 9 * 8) * (3 * 3 * 3));
}

TEST(Conv2d, RefusesGroupsThatDoNotDivide) {
  const auto grouped = [](int filters, int groups) {
    return Conv2d({.filters = filters, .window = window(1, 1, Padding::valid()), .groups = groups});
  };
  expect_refused(grouped(6, 4), {{1, 4, 4, 8}}, {"groups", "8 input channels", "6 filters", "found 4"});
  expect_refused(grouped(8, 4), {{1, 4, 4, 6}}, {"groups", "6 input channels", "8 filters", "found 4"});
  expect_refused(grouped(8, 0), {{1, 4, 4, 8}}, {"groups", "found 0"});
  expect_refused(grouped(0, 1), {{1, 4, 4, 8}}, {"filters", "found 0"});
}

// Of torch.nn.ConvTranspose2d, and of keras.layers.Conv2DTranspose for `same` and `valid`.
TEST(ConvTranspose, SizesEqualPytorchAndKeras) {
  const struct {
    int input, kernel, stride;
    Padding padding;
    int output_padding, output;
  } kTable[] = {
      {5, 3, 1, Padding::number(0), 0, 7}, {5, 3, 2, Padding::number(1), 0, 9}, {5, 3, 2, Padding::number(1), 1, 10},
      {4, 2, 2, Padding::number(0), 0, 8}, {3, 2, 3, Padding::number(0), 0, 8}, {3, 2, 3, Padding::number(0), 2, 10},
      {4, 4, 2, Padding::number(1), 0, 8}, {5, 3, 2, Padding::same(), 0, 10},   {5, 3, 2, Padding::valid(), 0, 11},
      {3, 2, 3, Padding::valid(), 0, 9},   {3, 2, 3, Padding::same(), 0, 9},    {4, 4, 1, Padding::same(), 0, 4},
  };
  for (const auto& row : kTable) {
    SCOPED_TRACE(std::to_string(row.input) + ", " + std::to_string(row.kernel) + ", " + std::to_string(row.stride));
    const ConvTranspose layer({.filters = 7,
                               .window = window(row.kernel, row.stride, row.padding),
                               .output_padding_h = row.output_padding,
                               .output_padding_w = row.output_padding});
    EXPECT_EQ(shape_of(layer, {{2, row.input, row.input, 3}}), (Shape{2, row.output, row.output, 7}));
    EXPECT_EQ(layer.parameters(Shapes{{2, row.input, row.input, 3}})[0].shape, (Shape{7, row.kernel, row.kernel, 3}));
  }
}

TEST(ConvTranspose, RefusesWhatHasNoOutput) {
  const auto refused = [](const ConvTransposeOptions& options, const std::vector<std::string>& parts) {
    expect_refused(ConvTranspose(options), {{1, 2, 2, 1}}, parts);
  };
  refused({.filters = 0}, {"filters", "found 0"});
  refused({.window = window(1, 1, Padding::number(2))}, {"height", "-2"});
  refused({.window = window(2, 2, Padding::valid()), .output_padding_w = 1}, {"output_padding"});
  refused({.window = window(2, 2, Padding::number(0)), .output_padding_h = 2}, {"output_padding"});
  refused({.window = window(2, 1, Padding::number(0), 2)}, {"dilation"});
  refused({.window = window(2, 1 << 24, Padding::valid())}, {"33554432"});
}

TEST(Linear, AsksForFlatten) {
  const Linear linear({.units = 10});
  EXPECT_EQ(shape_of(linear, {{8, 1, 1, 64}}), (Shape{8, 1, 1, 10}));
  expect_refused(linear, {{8, 2, 2, 16}}, {"Nx1x1xC", "8x2x2x16", "flatten"});
  expect_refused(Linear({.units = 0}), {{8, 1, 1, 16}}, {"units", "found 0"});
}

TEST(Pool, RefusesWindowsOfPaddingOnly) {
  EXPECT_EQ(shape_of(MaxPool(window(3, 2, Padding::number(1))), {{2, 112, 112, 64}}), (Shape{2, 56, 56, 64}));
  EXPECT_EQ(shape_of(AveragePool(window(2, 2, Padding::same())), {{2, 7, 7, 5}}), (Shape{2, 4, 4, 5}));
  expect_refused(MaxPool(window(2, 2, Padding::number(2))), {{1, 8, 8, 1}}, {"padding"});
  expect_refused(AveragePool(window(1, 1, Padding::number(1))), {{1, 8, 8, 1}}, {"padding"});
  expect_refused(MaxPool(window(2, 1, Padding::valid(), 2)), {{1, 8, 8, 1}}, {"dilation"});
  expect_refused(MaxPool(window(9, 1, Padding::valid())), {{1, 8, 8, 1}}, {"covers 9 pixels", "only 8"});
}

// As torch.nn.functional.max_pool2d(…, ceil_mode=True) has them.
TEST(Pool, CeilEqualsPytorch) {
  const struct {
    int input, kernel, stride, padding, output;
  } kTable[] = {{8, 3, 2, 0, 4}, {7, 3, 2, 0, 3}, {7, 2, 2, 1, 4}, {8, 2, 2, 1, 5}, {2, 3, 2, 0, 1},
                {8, 2, 3, 1, 3}, {9, 4, 3, 2, 4}, {6, 1, 4, 0, 2}, {5, 3, 3, 1, 2}, {112, 3, 2, 0, 56}};
  for (const auto& row : kTable) {
    SCOPED_TRACE(row.input);
    Window pool = window(row.kernel, row.stride, Padding::number(row.padding));
    pool.ceil = true;
    EXPECT_EQ(shape_of(MaxPool(pool), {{1, row.input, row.input, 1}}).h, row.output);
  }
  Window too_large = window(4, 2, Padding::valid());
  too_large.ceil = true;
  expect_refused(MaxPool(too_large), {{1, 2, 2, 1}}, {"covers 4 pixels", "only 2"});
}

TEST(Pad, AddsItsSides) {
  EXPECT_EQ(shape_of(Pad({.top = 1, .bottom = 2, .left = 3, .right = 4}), {{2, 5, 6, 7}}), (Shape{2, 8, 13, 7}));
  expect_refused(Pad({.left = -1}), {{1, 4, 4, 1}}, {"padding", "0 or more", "found -1"});
}

TEST(SoftmaxCrossEntropy, RefusesLogitsOfImagesAndOtherBatches) {
  const SoftmaxCrossEntropy loss;
  EXPECT_EQ(shape_of(loss, {{8, 1, 1, 10}, {8, 1, 1, 3}}), (Shape{8, 1, 1, 10}));
  expect_refused(loss, {{8, 2, 2, 10}, {8, 1, 1, 3}}, {"logits", "8x2x2x10", "flatten"});
  expect_refused(loss, {{8, 1, 1, 10}, {4, 1, 1, 3}}, {"targets", "8x1x1x3", "4x1x1x3"});
  expect_refused(loss, {{8, 1, 1, 10}, {8, 1, 1, 10}}, {"targets"});
  EXPECT_EQ(shape_of(loss, {{8, 1, 1, 10}, {8, 1, 1, 3}, {1, 1, 1, 10}}), (Shape{8, 1, 1, 10}));
  expect_refused(loss, {{8, 1, 1, 10}, {8, 1, 1, 3}, {1, 1, 1, 9}}, {"class weights", "1x1x1x10", "1x1x1x9"});
  expect_refused(loss, {{8, 1, 1, 10}}, {"expected 2", "found 1"});
  expect_refused(SoftmaxCrossEntropy(1), {{8, 1, 1, 10}, {8, 1, 1, 3}}, {"label_smoothing", "[0, 1)"});
}

TEST(Distillation, RefusesTeachersOfOtherClasses) {
  const Shape logits{8, 1, 1, 10}, targets{8, 1, 1, 3};
  EXPECT_EQ(shape_of(Distillation(0.9, 4), {logits, targets, logits}), logits);
  expect_refused(Distillation(0.9, 4), {logits, targets, {8, 1, 1, 9}}, {"teacher's", "8x1x1x10", "8x1x1x9"});
  expect_refused(Distillation(0.9, 4), {logits, targets}, {"expected 3", "found 2"});
  expect_refused(Distillation(1.5, 4), {logits, targets, logits}, {"weight", "[0, 1]"});
  expect_refused(Distillation(0.5, 0), {logits, targets, logits}, {"temperature", "above 0"});
}

TEST(ClassLosses, TakeNoWeights) {
  EXPECT_EQ(shape_of(BinaryCrossEntropy(), {{8, 1, 1, 10}, {8, 1, 1, 3}}), (Shape{8, 1, 1, 10}));
  expect_refused(BinaryCrossEntropy(), {{8, 1, 1, 10}, {8, 1, 1, 3}, {1, 1, 1, 10}}, {"expected 2", "found 3"});
  expect_refused(MeanSquaredError(), {{8, 2, 2, 10}, {8, 1, 1, 3}}, {"logits", "8x2x2x10"});
}

TEST(Add, RefusesShapesThatDiffer) {
  EXPECT_EQ(shape_of(Add(), {{2, 4, 4, 8}, {2, 4, 4, 8}}), (Shape{2, 4, 4, 8}));
  expect_refused(Add(), {{2, 4, 4, 8}, {2, 4, 4, 16}}, {"2x4x4x8", "2x4x4x16"});
  expect_refused(Add(), {{2, 4, 4, 8}, {2, 2, 2, 8}}, {"2x2x2x8"});
  expect_refused(Add(), {{2, 4, 4, 8}, {1, 4, 4, 8}}, {"1x4x4x8"});
  expect_refused(Add(), {{2, 4, 4, 8}}, {"found 1"});
}

TEST(Concat, AddsUpChannelsOfEqualImages) {
  EXPECT_EQ(shape_of(Concat(), {{2, 4, 4, 8}, {2, 4, 4, 5}, {2, 4, 4, 1}}), (Shape{2, 4, 4, 14}));
  expect_refused(Concat(), {{2, 4, 4, 8}, {2, 4, 5, 8}}, {"2x4x5x8"});
  expect_refused(Concat(), {{2, 4, 4, 8}, {3, 4, 4, 8}}, {"3x4x4x8"});
}

TEST(BatchNorm, AddsOnlyWhatHasItsShape) {
  EXPECT_EQ(shape_of(BatchNorm({}), {{2, 4, 4, 8}}), (Shape{2, 4, 4, 8}));
  const BatchNorm add({.add = true});
  EXPECT_EQ(shape_of(add, {{2, 4, 4, 8}, {2, 4, 4, 8}}), (Shape{2, 4, 4, 8}));
  expect_refused(add, {{2, 4, 4, 8}, {2, 4, 4, 4}}, {"2x4x4x8", "2x4x4x4"});
  expect_refused(add, {{2, 4, 4, 8}}, {"expected 2", "found 1"});
  expect_refused(BatchNorm({.epsilon = -1}), {{2, 4, 4, 8}}, {"epsilon"});
}

TEST(Lrn, RefusesWhatDividesByZero) {
  EXPECT_EQ(shape_of(Lrn({}), {{2, 3, 4, 5}}), (Shape{2, 3, 4, 5}));
  expect_refused(Lrn({.size = 0}), {{2, 3, 4, 5}}, {"size", "found 0"});
  expect_refused(Lrn({.alpha = -1}), {{2, 3, 4, 5}}, {"alpha"});
  expect_refused(Lrn({.beta = __builtin_nanf("")}), {{2, 3, 4, 5}}, {"beta"});
  expect_refused(Lrn({.k = 0}), {{2, 3, 4, 5}}, {"k", "more than 0"});
}

TEST(Upsample, MultipliesHeightAndWidth) {
  EXPECT_EQ(shape_of(Upsample({2, 3}), {{2, 3, 4, 5}}), (Shape{2, 6, 12, 5}));
  expect_refused(Upsample({0, 1}), {{2, 3, 4, 5}}, {"scale", "found 0"});
  expect_refused(Upsample({1, 1 << 23}), {{2, 3, 4, 5}}, {"scale", "too large"});
}

TEST(GroupNorm, RefusesGroupsThatDoNotDivide) {
  EXPECT_EQ(shape_of(GroupNorm({.groups = 4}), {{2, 4, 4, 8}}), (Shape{2, 4, 4, 8}));
  expect_refused(GroupNorm({.groups = 3}), {{2, 4, 4, 8}}, {"groups", "8 channels", "found 3"});
  expect_refused(GroupNorm({.groups = 0}), {{2, 4, 4, 8}}, {"groups", "found 0"});
  expect_refused(GroupNorm({.groups = 2, .epsilon = 0}), {{2, 4, 4, 8}}, {"epsilon"});
  expect_refused(LayerNorm(-1), {{2, 4, 4, 8}}, {"epsilon"});
  const std::vector<ParameterSpec> parameters = LayerNorm(1e-5F).parameters(Shapes{{2, 4, 4, 8}});
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(parameters[0].shape, (Shape{1, 1, 1, 8}));
  EXPECT_EQ(parameters[0].initializer.scale, 1);
}

TEST(Activation, RefusesParametersThatItsBackwardCouldNotTell) {
  EXPECT_EQ(shape_of(Activation(SiluFunction{}), {{2, 3, 4, 5}}), (Shape{2, 3, 4, 5}));
  expect_refused(Activation(SiluFunction{}), {}, {"expected 1", "found 0"});
  expect_refused(Activation(LeakyReluFunction{-0.5F}), {{2, 3, 4, 5}}, {"slope", "0 or more", "-0.5"});
  expect_refused(Activation(EluFunction{__builtin_nanf("")}), {{2, 3, 4, 5}}, {"alpha", "0 or more"});
}

TEST(Multiply, TakesTheSameShapeOrFactors) {
  EXPECT_EQ(shape_of(Multiply(), {{2, 4, 5, 8}, {2, 4, 5, 8}}), (Shape{2, 4, 5, 8}));
  EXPECT_EQ(shape_of(Multiply(), {{2, 4, 5, 8}, {2, 1, 1, 8}}), (Shape{2, 4, 5, 8}));
  expect_refused(Multiply(), {{2, 1, 1, 8}, {2, 4, 5, 8}}, {"2x1x1x8", "2x4x5x8"});
  expect_refused(Multiply(), {{2, 4, 5, 8}, {1, 1, 1, 8}}, {"2x1x1x8", "1x1x1x8"});
  expect_refused(Multiply(), {{2, 4, 5, 8}}, {"expected 2", "found 1"});
}

TEST(AdaptiveAveragePool, HasTheSizeThatItWasGiven) {
  EXPECT_EQ(shape_of(AdaptiveAveragePool(7, 3), {{2, 4, 5, 8}}), (Shape{2, 7, 3, 8}));
  expect_refused(AdaptiveAveragePool(7, 0), {{2, 4, 5, 8}}, {"size", "1 or more"});
}

TEST(StochasticDepth, RefusesRatesThatKeepNothing) {
  EXPECT_EQ(shape_of(StochasticDepth(0.2F, 0), {{2, 3, 4, 5}}), (Shape{2, 3, 4, 5}));
  for (float rate : {-0.1F, 1.0F, __builtin_nanf("")}) {
    expect_refused(StochasticDepth(rate, 0), {{2, 3, 4, 5}}, {"rate", "less than 1"});
  }
}

TEST(Elementwise, RulesOfSmallLayers) {
  EXPECT_EQ(shape_of(Relu(), {{2, 3, 4, 5}}), (Shape{2, 3, 4, 5}));
  EXPECT_EQ(shape_of(Flatten(), {{2, 3, 4, 5}}), (Shape{2, 1, 1, 60}));
  EXPECT_EQ(shape_of(GlobalAverage(), {{2, 3, 4, 5}}), (Shape{2, 1, 1, 5}));
  EXPECT_EQ(shape_of(GlobalMax(), {{2, 3, 4, 5}}), (Shape{2, 1, 1, 5}));
  EXPECT_EQ(shape_of(Softmax(), {{2, 3, 4, 5}}), (Shape{2, 3, 4, 5}));
  expect_refused(Relu(), {}, {"expected 1", "found 0"});
  expect_refused(Flatten(), {{1, 65536, 65536, 3}}, {"too many"});
  for (float rate : {-0.1F, 1.0F, 1.5F, __builtin_nanf("")}) {
    expect_refused(Dropout(rate, 0), {{2, 3, 4, 5}}, {"rate", "less than 1"});
  }
  expect_refused(Normalize({0.5F, 0.5F}, {1}), {{2, 8, 8, 3}}, {"mean", "1 or 3", "found 2"});
  expect_refused(Normalize({0.5F}, {1, 1}), {{2, 8, 8, 3}}, {"std", "1 or 3", "found 2"});
  expect_refused(Normalize({0.5F}, {0}), {{2, 8, 8, 3}}, {"std", "above 0"});
  EXPECT_EQ(shape_of(Normalize({0.5F}, {1}, true), {{2, 8, 8, 3}}), (Shape{2, 8, 8, 3}));
  expect_refused(Normalize({0.5F}, {1}, true), {{2, 8, 8, 1}}, {"bgr", "3 channels", "found 1"});
}

}  // namespace
}  // namespace convoy
