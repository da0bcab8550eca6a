// Mean over the global batch of share · -log softmax(logits)[a] + (1 - share) · -log softmax(logits)[b]: logits
// [N,1,1,K] and a Target (core/device/target.h) for each row, i32 [N,1,1,3], with a and b in [0, K).
//
// The output is the probabilities, f32 [N,1,1,K].  Forward adds to the control block: the *sum* of losses, the number
// of rows whose largest logit (the first, on ties) is a, the number of valid rows, and a 1 when a loss is not
// finite.  dx = (probability - (share · one_hot(a) + (1 - share) · one_hot(b))) · loss_scale · one_over_global_rows.
// Rows >= valid_rows count nothing and have zero gradient; their probabilities are computed, their targets are not
// looked at.  A class outside [0, K) is data that lies: its row's loss is NaN, and the non-finite flag stops the run.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class SoftmaxCrossEntropy : public Layer {
 public:
  static constexpr const char* kType = "softmax_cross_entropy";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  bool is_loss() const override { return true; }
};

std::unique_ptr<Kernel> make_cpu_kernel(const SoftmaxCrossEntropy& layer, const CompileRequest& request);

}  // namespace convoy
