#include "layers/upsample.h"

#include "layers/checks.h"

namespace convoy {

Shape Upsample::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  const auto& [scale_h, scale_w, bilinear] = options_;
  expect_at_least(std::min(scale_h, scale_w), 1, "scale");
  const Shape& x = inputs[0];
  constexpr int kMost = 1 << 24;
  if (scale_h > kMost / x.h || scale_w > kMost / x.w)
    throw Error(ExitCode::kConfig, "scale: the image becomes too large");
  return {x.n, x.h * scale_h, x.w * scale_w, x.c};
}

}  // namespace convoy
