#include "layers/window.h"

#include <algorithm>
#include <string>

#include "layers/checks.h"

namespace convoy {
namespace {

WindowAxis axis(const char* name, const Window& window, int number, int input, int kernel, int stride, int dilation) {
  const Padding::Kind kind = window.padding.kind;
  const int reach = (kernel - 1) * dilation + 1;
  WindowAxis result{input, 0, kernel, stride, dilation, 0, 0};
  if (kind == Padding::Kind::kSame) {
    result.output = (input + stride - 1) / stride;
    const int total = std::max((result.output - 1) * stride + reach - input, 0);
    result.low = total / 2;
    result.high = total - result.low;
    return result;
  }
  if (kind == Padding::Kind::kNumber) result.low = result.high = number;
  const int room = input + result.low + result.high - reach;
  const int rounding = window.ceil ? stride - 1 : 0;
  if (room + rounding < 0) {
    throw Error(ExitCode::kConfig, std::string("the window covers ") + std::to_string(reach) + " pixels of " + name +
                                       ", but the padded input has only " + std::to_string(room + reach));
  }
  result.output = (room + rounding) / stride + 1;
  if (window.ceil && (result.output - 1) * stride >= input + result.low) --result.output;
  return result;
}

int transposed(const char* name, const Window& window, int padding, int more, int input, int kernel, int stride) {
  constexpr int64_t kMost = 1 << 24;  // so that what is added up fits
  const Padding::Kind kind = window.padding.kind;
  if (more < 0 || more >= stride || (more > 0 && kind != Padding::Kind::kNumber)) {
    throw Error(ExitCode::kConfig, "output_padding: expected less than the stride, and 0 where padding is a word");
  }
  int64_t output = int64_t{input} * stride;
  if (kind == Padding::Kind::kNumber) output += kernel - stride - 2 * padding + more;
  if (kind == Padding::Kind::kValid) output += std::max(kernel - stride, 0);
  if (output < 1 || output > kMost) {
    throw Error(ExitCode::kConfig, std::string("the ") + name + " of the output would be " + std::to_string(output));
  }
  return static_cast<int>(output);
}

void expect_options(const Window& window) {
  expect_at_least(std::min(window.kernel_h, window.kernel_w), 1, "kernel");
  expect_at_least(std::min(window.stride_h, window.stride_w), 1, "stride");
  expect_at_least(std::min(window.dilation_h, window.dilation_w), 1, "dilation");
  expect_at_least(std::min(window.padding.height, window.padding.width), 0, "padding");
}

}  // namespace

WindowAxes window_axes(const Window& window, const Shape& input) {
  expect_options(window);
  return {axis("height", window, window.padding.height, input.h, window.kernel_h, window.stride_h, window.dilation_h),
          axis("width", window, window.padding.width, input.w, window.kernel_w, window.stride_w, window.dilation_w)};
}

WindowAxes transposed_axes(const Window& window, int output_padding_h, int output_padding_w, const Shape& input) {
  expect_options(window);
  const Padding& padding = window.padding;
  const int height =
      transposed("height", window, padding.height, output_padding_h, input.h, window.kernel_h, window.stride_h);
  const int width =
      transposed("width", window, padding.width, output_padding_w, input.w, window.kernel_w, window.stride_w);
  return window_axes(window, {1, height, width, 1});
}

}  // namespace convoy
