#include "layers/softmax_cross_entropy.h"

#include "layers/checks.h"

namespace convoy {

Shape SoftmaxCrossEntropy::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 2);
  const Shape &logits = inputs[0], &label = inputs[1];
  if (logits.h != 1 || logits.w != 1) {
    throw Error(ExitCode::kConfig, "expected logits of shape Nx1x1xK, found " + to_string(logits) +
                                       "; end the network with a linear layer, or flatten");
  }
  if (label != Shape{logits.n, 1, 1, 1}) {
    throw Error(ExitCode::kConfig,
                "expected labels of shape " + to_string(Shape{logits.n, 1, 1, 1}) + ", found " + to_string(label));
  }
  return logits;
}

}  // namespace convoy
