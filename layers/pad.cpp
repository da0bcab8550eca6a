#include "layers/pad.h"

#include "layers/checks.h"

namespace convoy {

Shape Pad::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  const auto& [top, bottom, left, right, value] = options_;
  expect_at_least(std::min({top, bottom, left, right}), 0, "padding");
  const Shape& x = inputs[0];
  return {x.n, top + x.h + bottom, left + x.w + right, x.c};
}

}  // namespace convoy
