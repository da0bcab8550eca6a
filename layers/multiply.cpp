#include "layers/multiply.h"

#include "layers/checks.h"

namespace convoy {

Shape Multiply::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 2);
  const Shape &x = inputs[0], factors{x.n, 1, 1, x.c};
  if (inputs[1] != x && inputs[1] != factors) {
    throw Error(ExitCode::kConfig, "expected a second input of " + to_string(x) + " or " + to_string(factors) +
                                       ", found " + to_string(inputs[1]));
  }
  return x;
}

}  // namespace convoy
