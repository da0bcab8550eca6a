#include "layers/concat.h"

#include <limits>

#include "layers/checks.h"

namespace convoy {

Shape Concat::shape(std::span<const Shape> inputs) const {
  expect_two_or_more(inputs);
  Shape y = inputs[0];
  int64_t channels = 0;
  for (const Shape& x : inputs) {
    if (x.n != y.n || x.h != y.h || x.w != y.w) {
      throw Error(ExitCode::kConfig, "expected inputs that differ in channels only, found " + to_string(inputs[0]) +
                                         " and " + to_string(x));
    }
    channels += x.c;
  }
  if (channels > std::numeric_limits<int>::max()) {
    throw Error(ExitCode::kConfig, "the inputs have " + std::to_string(channels) + " channels in all, too many");
  }
  y.c = static_cast<int>(channels);
  return y;
}

}  // namespace convoy
