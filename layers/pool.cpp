#include "layers/pool.h"

#include "layers/checks.h"

namespace convoy {

Shape Pool::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  const WindowAxes axes = window_axes(window_, inputs[0]);
  for (const WindowAxis& axis : {axes.h, axes.w}) {
    const int last_start = (axis.output - 1) * axis.stride - axis.low;
    const int first_end = (axis.kernel - 1) * axis.dilation - axis.low;
    if (first_end < 0 || last_start >= axis.input) {
      throw Error(ExitCode::kConfig, "padding: expected less than the kernel, else a window holds padding only");
    }
    if (axis.dilation != 1) throw Error(ExitCode::kConfig, "dilation: pools take only 1");
  }
  return {inputs[0].n, axes.h.output, axes.w.output, inputs[0].c};
}

Shape GlobalAverage::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  return {inputs[0].n, 1, 1, inputs[0].c};
}

Shape GlobalMax::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  return {inputs[0].n, 1, 1, inputs[0].c};
}

MaxPool global_max_pool(const Shape& x) { return MaxPool({.kernel_h = x.h, .kernel_w = x.w, .padding = {}}); }

}  // namespace convoy
