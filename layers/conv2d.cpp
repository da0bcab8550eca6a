#include "layers/conv2d.h"

#include "layers/checks.h"

namespace convoy {

Shape Conv2d::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, options_.add ? 2 : 1);
  expect_at_least(options_.filters, 1, "filters");
  expect_at_least(options_.groups, 1, "groups");
  const Shape& x = inputs[0];
  if (x.c % options_.groups != 0 || options_.filters % options_.groups != 0) {
    throw Error(ExitCode::kConfig, "groups: expected a divisor of " + std::to_string(x.c) + " input channels and " +
                                       std::to_string(options_.filters) + " filters, found " +
                                       std::to_string(options_.groups));
  }
  const WindowAxes axes = window_axes(options_.window, x);
  const Shape y{x.n, axes.h.output, axes.w.output, options_.filters};
  if (options_.add && inputs[1] != y) {
    throw Error(ExitCode::kConfig, "expected " + to_string(y) + " to add, found " + to_string(inputs[1]));
  }
  return y;
}

std::vector<ParameterSpec> Conv2d::parameters(std::span<const Shape> inputs) const {
  const Shape weight{options_.filters, options_.window.kernel_h, options_.window.kernel_w,
                     inputs[0].c / options_.groups};
  const int64_t area = int64_t{weight.h} * weight.w;
  const int64_t fan_in = area * weight.c;
  std::vector<ParameterSpec> specs{
      {"weight", weight, weight_start(options_.initializer, fan_in, area * options_.filters)}};
  if (options_.bias) {
    specs.push_back({"bias", {1, 1, 1, options_.filters}, bias_start(options_.initializer, fan_in)});
  }
  return specs;
}

int64_t Conv2d::forward_flops(std::span<const Shape> inputs) const {
  return 2 * shape(inputs).elements() * options_.window.kernel_h * options_.window.kernel_w *
         (inputs[0].c / options_.groups);
}

}  // namespace convoy
