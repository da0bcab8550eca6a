#include "layers/relu.h"

#include "layers/checks.h"

namespace convoy {

Shape Relu::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  return inputs[0];
}

}  // namespace convoy
