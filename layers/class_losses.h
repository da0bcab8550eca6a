// The mean over classes of what each says by itself, with t as loss.h has it.
#pragma once

#include "layers/loss.h"

namespace convoy {

// -t[k] · log p[k] - (1 - t[k]) · log(1 - p[k]), where p = sigmoid(logits) is the output: timm's BinaryCrossEntropy,
// which is torch.nn.BCEWithLogitsLoss of smoothed targets.  dx[k] = (p[k] - t[k]) / K · loss_scale ·
// one_over_global_rows.
class BinaryCrossEntropy : public Loss {
 public:
  static constexpr const char* kType = "binary_cross_entropy";
  explicit BinaryCrossEntropy(double label_smoothing = 0) : Loss(label_smoothing) {}
  std::string type() const override { return kType; }
};

// (logits[k] - t[k])², whose output is the logits: torch.nn.MSELoss.  dx[k] = 2 (logits[k] - t[k]) / K · loss_scale ·
// one_over_global_rows.
class MeanSquaredError : public Loss {
 public:
  static constexpr const char* kType = "mean_squared_error";
  MeanSquaredError() : Loss(0) {}
  std::string type() const override { return kType; }
};

std::unique_ptr<Kernel> make_cpu_kernel(const BinaryCrossEntropy& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const MeanSquaredError& layer, const CompileRequest& request);

}  // namespace convoy
