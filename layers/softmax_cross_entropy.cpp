#include "layers/softmax_cross_entropy.h"

#include "core/device/target.h"
#include "layers/checks.h"

namespace convoy {

Shape SoftmaxCrossEntropy::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 2);
  const Shape &logits = inputs[0], &targets = inputs[1], wanted = targets_shape(logits.n);
  if (logits.h != 1 || logits.w != 1) {
    throw Error(ExitCode::kConfig, "expected logits of shape Nx1x1xK, found " + to_string(logits) +
                                       "; end the network with a linear layer, or flatten");
  }
  if (targets != wanted) {
    throw Error(ExitCode::kConfig, "expected targets of shape " + to_string(wanted) + ", found " + to_string(targets));
  }
  return logits;
}

}  // namespace convoy
