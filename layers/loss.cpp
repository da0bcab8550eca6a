#include "layers/loss.h"

#include "core/device/target.h"
#include "layers/checks.h"

namespace convoy {

Shape Loss::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 2);
  const Shape &logits = inputs[0], &targets = inputs[1], wanted = targets_shape(logits.n);
  if (logits.h != 1 || logits.w != 1) {
    throw Error(ExitCode::kConfig, "expected logits of shape Nx1x1xK, found " + to_string(logits) +
                                       "; end the network with a linear layer, or flatten");
  }
  if (targets != wanted) {
    throw Error(ExitCode::kConfig, "expected targets of shape " + to_string(wanted) + ", found " + to_string(targets));
  }
  if (!(label_smoothing_ >= 0 && label_smoothing_ < 1)) {
    throw Error(ExitCode::kConfig,
                "label_smoothing: expected a number in [0, 1), found " + std::to_string(label_smoothing_));
  }
  return logits;
}

void expect_targets(const CompileRequest& request) {
  if (request.inputs[1].dtype == Dtype::kI32) return;
  throw Error(ExitCode::kConfig, std::string("expected i32 targets, found ") + to_string(request.inputs[1].dtype));
}

}  // namespace convoy
