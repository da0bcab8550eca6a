#include "layers/adaptive_pool.h"

#include "layers/checks.h"

namespace convoy {

Shape AdaptiveAveragePool::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_at_least(std::min(height_, width_), 1, "size");
  return {inputs[0].n, height_, width_, inputs[0].c};
}

}  // namespace convoy
