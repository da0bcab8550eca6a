// What the tables of layer_cases() are written with.
#pragma once

#include "layers/conv2d.h"
#include "tests/cases/layer_cases.h"

namespace convoy {

using Cases = std::vector<LayerCase>;

template <class L, class... Arguments>
std::function<std::unique_ptr<Layer>()> make(Arguments... arguments) {
  return [=] { return std::make_unique<L>(arguments...); };
}

inline constexpr Padding kSame = Padding::same(), kValid = Padding::valid();
constexpr Padding pad(int amount) { return Padding::number(amount); }

inline Window window(int kernel, int stride = 1, Padding padding = kValid, int dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, padding};
}

inline std::function<std::unique_ptr<Layer>()> conv(int filters, const Window& window, int groups = 1, bool bias = true,
                                                    bool relu = false) {
  return make<Conv2d>(Conv2dOptions{filters, window, groups, bias, relu});
}

inline constexpr bool kNoBias = false, kBias = true, kRelu = true;

// ---- convolution_cases.cpp
Cases conv_cases();
Cases conv_transpose_cases();
Cases grouped_benchmark_cases();

}  // namespace convoy
