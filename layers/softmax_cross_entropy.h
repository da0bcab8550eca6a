// Σ over classes of weight[k] · t[k] · -log softmax(logits)[k], with t as loss.h has it; its output is the
// probabilities.  dx[k] = (probability[k] · Σ weight · t - weight[k] · t[k]) · loss_scale · one_over_global_rows.
//
// The weights are a third input, f32 [1,1,1,K], that need not be there: all are 1.  This is torch.nn.CrossEntropyLoss
// with `weight`, `label_smoothing` and probabilities as targets, whose mean is over rows.  (For class numbers as
// targets PyTorch divides by the sum of their weights instead, which nobody knows before all ranks have seen their
// rows; the step differs by that factor alone.)
#pragma once

#include "layers/loss.h"

namespace convoy {

class SoftmaxCrossEntropy : public Loss {
 public:
  static constexpr const char* kType = "softmax_cross_entropy";
  explicit SoftmaxCrossEntropy(double label_smoothing = 0) : Loss(label_smoothing) {}
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const SoftmaxCrossEntropy& layer, const CompileRequest& request);

}  // namespace convoy
