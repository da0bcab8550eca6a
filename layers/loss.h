// What the losses share: the mean over the rows of the global batch of what a row's logits [N,1,1,K] and its Target
// (core/device/target.h), i32 [N,1,1,3] with a and b in [0, K), give.  The target of class k is
//
//   t[k] = (1 - label_smoothing) · (share · one_hot(a)[k] + (1 - share) · one_hot(b)[k]) + label_smoothing / K
//
// The output is f32 [N,1,1,K], what the network says of each class.  Forward adds to the control block: the *sum* of
// losses, the number of rows whose largest logit (the first, on ties) is a, the number of valid rows, and a 1 when a
// loss is not finite.  dx is the gradient of a row's loss times loss_scale · one_over_global_rows.  Rows >= valid_rows
// count nothing and have zero gradient; their outputs are computed, their targets are not looked at.  A class outside
// [0, K) is data that lies: its row's loss is NaN, and the non-finite flag stops the run.
//
// Evaluation takes the plain loss, without smoothing and weights, so that numbers of differently trained networks can
// be compared.  It also counts the rows with fewer than five classes before a: larger logits, or equal ones of a lower
// number.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Loss : public Layer {
 public:
  explicit Loss(double label_smoothing) : label_smoothing_(label_smoothing) {}
  double label_smoothing() const { return label_smoothing_; }

  Shape shape(std::span<const Shape> inputs) const override;
  bool is_loss() const override { return true; }

 private:
  double label_smoothing_;
};

inline constexpr int kTop5 = 5;

// Throws Error(kConfig) unless the targets that a kernel is offered are i32.
void expect_targets(const CompileRequest& request);

}  // namespace convoy
