#include "layers/add.h"

#include "layers/checks.h"

namespace convoy {

Shape Add::shape(std::span<const Shape> inputs) const {
  expect_two_or_more(inputs);
  for (const Shape& x : inputs) {
    if (x == inputs[0]) continue;
    throw Error(ExitCode::kConfig,
                "expected inputs of one shape, found " + to_string(inputs[0]) + " and " + to_string(x));
  }
  return inputs[0];
}

}  // namespace convoy
