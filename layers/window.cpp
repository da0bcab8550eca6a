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

}  // namespace

WindowAxes window_axes(const Window& window, const Shape& input) {
  expect_at_least(std::min(window.kernel_h, window.kernel_w), 1, "kernel");
  expect_at_least(std::min(window.stride_h, window.stride_w), 1, "stride");
  expect_at_least(std::min(window.dilation_h, window.dilation_w), 1, "dilation");
  expect_at_least(std::min(window.padding.height, window.padding.width), 0, "padding");
  return {axis("height", window, window.padding.height, input.h, window.kernel_h, window.stride_h, window.dilation_h),
          axis("width", window, window.padding.width, input.w, window.kernel_w, window.stride_w, window.dilation_w)};
}

}  // namespace convoy
