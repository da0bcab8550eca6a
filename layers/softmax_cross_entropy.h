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

// Knowledge distillation: Hinton, Vinyals and Dean 2015, arXiv:1503.02531.  Of a row, with the cross-entropy as above,
// T the temperature, q = softmax(logits / T) and r = softmax(teacher / T):
//
//   (1 - weight) · cross-entropy + weight · T² · Σ over classes of r[k] · log(r[k] / q[k])
//
// T² keeps the two parts of the gradient in proportion when T changes.  dx[k] = ((1 - weight) · (probability[k] - t[k])
// + weight · T · (q[k] - r[k])) · loss_scale · one_over_global_rows.  Its third input is what the teacher says, f32
// [N,1,1,K], which gets no gradient; evaluation does not look at it.
class Distillation : public Loss {
 public:
  static constexpr const char* kType = "distillation";
  Distillation(double weight, double temperature, double label_smoothing = 0)
      : Loss(label_smoothing), weight_(weight), temperature_(temperature) {}
  double weight() const { return weight_; }
  double temperature() const { return temperature_; }
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  double weight_, temperature_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const SoftmaxCrossEntropy& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const Distillation& layer, const CompileRequest& request);

}  // namespace convoy
