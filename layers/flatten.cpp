#include "layers/flatten.h"

#include <limits>

#include "layers/checks.h"

namespace convoy {

Shape Flatten::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  const Shape& x = inputs[0];
  const int64_t features = int64_t{x.h} * x.w * x.c;
  if (features > std::numeric_limits<int>::max()) {
    throw Error(ExitCode::kConfig, "an image of " + to_string(x) + " has too many elements to flatten");
  }
  return {x.n, 1, 1, static_cast<int>(features)};
}

}  // namespace convoy
