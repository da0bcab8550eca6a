#include "layers/linear.h"

#include "layers/checks.h"

namespace convoy {

Shape Linear::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_at_least(options_.units, 1, "units");
  const Shape& x = inputs[0];
  if (x.h != 1 || x.w != 1) {
    throw Error(ExitCode::kConfig, "expected an input of shape Nx1x1xC, found " + to_string(x) +
                                       "; put a flatten (or global_average) layer before it");
  }
  return {x.n, 1, 1, options_.units};
}

std::vector<ParameterSpec> Linear::parameters(std::span<const Shape> inputs) const {
  const int in = inputs[0].c;
  std::vector<ParameterSpec> specs{
      {"weight", {options_.units, 1, 1, in}, weight_start(options_.initializer, in, options_.units)}};
  if (options_.bias) specs.push_back({"bias", {1, 1, 1, options_.units}, bias_start(options_.initializer, in)});
  return specs;
}

int64_t Linear::forward_flops(std::span<const Shape> inputs) const {
  return 2 * int64_t{inputs[0].n} * inputs[0].c * options_.units;
}

}  // namespace convoy
