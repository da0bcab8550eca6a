#include "layers/softmax.h"

#include "layers/checks.h"

namespace convoy {

Shape Softmax::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  return inputs[0];
}

}  // namespace convoy
