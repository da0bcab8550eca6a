// Where a sliding window (convolution, pooling) reads: kernel, stride, dilation, padding.
#pragma once

#include <algorithm>

#include "core/device/types.h"

namespace convoy {

// kNumber: `height` zeros above and below, `width` left and right.  kValid: none.  kSame: TensorFlow's SAME, the
// output is ceil(input / stride); where the padding is odd, the extra row or column is at the bottom or right.
struct Padding {
  enum class Kind : uint8_t { kNumber, kSame, kValid } kind = Kind::kNumber;
  int height = 0, width = 0;  // of kNumber

  static constexpr Padding number(int amount) { return {Kind::kNumber, amount, amount}; }
  static constexpr Padding same() { return {Kind::kSame, 0, 0}; }
  static constexpr Padding valid() { return {Kind::kValid, 0, 0}; }
};

struct Window {
  int kernel_h = 1, kernel_w = 1;
  int stride_h = 1, stride_w = 1;
  int dilation_h = 1, dilation_w = 1;  // 1 is dense
  Padding padding;
  // Of pools with padding in numbers: the output is rounded up, not down, as with PyTorch's ceil_mode.  The last window
  // may end behind the padding, but begins in the input or the padding before it.
  bool ceil = false;
};

// One axis of a window on an input of a known size: output o reads input o * stride - low + k * dilation, k < kernel.
struct WindowAxis {
  int input, output, kernel, stride, dilation;
  int low, high;  // padding before the first and after the last element; with ceil, windows may end further behind
};

struct WindowAxes {
  WindowAxis h, w;
};

// The elements of window `output` that lie in the input, as offsets [begin, end) into a kernel of dilation 1.
struct WindowSpan {
  int begin, end;
};
constexpr WindowSpan inside(const WindowAxis& axis, int output) {
  const int start = output * axis.stride - axis.low;
  return {std::max(0, -start), std::min(axis.kernel, axis.input - start)};
}
// The same of the elements that lie in the input or its padding.
constexpr WindowSpan inside_padded(const WindowAxis& axis, int output) {
  return {0, std::min(axis.kernel, axis.input + axis.high - (output * axis.stride - axis.low))};
}
// The outputs whose windows contain an input.
constexpr WindowSpan windows_of(const WindowAxis& axis, int input) {
  const int from = input + axis.low - axis.kernel + 1;
  return {from <= 0 ? 0 : (from + axis.stride - 1) / axis.stride,
          std::min((input + axis.low) / axis.stride + 1, axis.output)};
}

// Throws Error(kConfig) when an option is out of range or the padded input is smaller than the window.
WindowAxes window_axes(const Window& window, const Shape& input);

// Of a transposed convolution of `input`: the axes of the convolution whose gradient it is, from its output (axis.input
// pixels) back to `input` (axis.output).  Padding takes pixels away; output_padding adds some at the bottom and right,
// fewer than the stride, and only to a padding in numbers.  kSame: the output is input · stride; kValid: input · stride
// + max(kernel - stride, 0), as in Keras' Conv2DTranspose.  Throws Error(kConfig) as above.
WindowAxes transposed_axes(const Window& window, int output_padding_h, int output_padding_w, const Shape& input);

}  // namespace convoy
