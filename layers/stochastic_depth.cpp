#include "layers/stochastic_depth.h"

#include "layers/checks.h"

namespace convoy {

Shape StochasticDepth::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  if (!(rate_ >= 0 && rate_ < 1)) {
    throw Error(ExitCode::kConfig, "rate: expected 0 or more and less than 1, found " + std::to_string(rate_));
  }
  return inputs[0];
}

}  // namespace convoy
