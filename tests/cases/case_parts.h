// What the parts of the table of layer_cases.h are written with, and those that have a file of their own.
#pragma once

#include "layers/conv2d.h"
#include "tests/cases/layer_cases.h"

namespace convoy {

using Cases = std::vector<LayerCase>;

// For layers whose options the arguments are: {"relu", make<Relu>(), …}.
template <class L, class... Arguments>
std::function<std::unique_ptr<Layer>()> make(Arguments... arguments) {
  return [=] { return std::make_unique<L>(arguments...); };
}

inline constexpr Padding kSame = Padding::same(), kValid = Padding::valid();
constexpr Padding pad(int amount) { return Padding::number(amount); }

inline Window window(int kernel, int stride = 1, Padding padding = kValid, int dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, padding};
}

inline constexpr bool kNoBias = false, kBias = true, kRelu = true, kAdd = true;

inline std::function<std::unique_ptr<Layer>()> conv(int filters, const Window& window, int groups = 1, bool bias = true,
                                                    bool relu = false, bool add = false) {
  return make<Conv2d>(
      Conv2dOptions{.filters = filters, .window = window, .groups = groups, .bias = bias, .relu = relu, .add = add});
}

Cases activation_cases();
Cases batch_norm_cases();
Cases conv_cases();
Cases conv_transpose_cases();
Cases gate_cases();   // and pools of whole images
Cases image_cases();  // layers that change the size of images
Cases loss_cases();
Cases norm_cases();  // others than of batches
Cases grouped_benchmark_cases();

}  // namespace convoy
