// Batch normalisation (Ioffe & Szegedy 2015) of each channel over N, H and W of one micro-batch:
//
//   training    y = weight · (x - mean) / sqrt(variance + epsilon) + bias      of this micro-batch
//   evaluation  the same with the running statistics
//
// Optionally y = max(y + x[1], 0) or y = max(y, 0): what fuse_batch_norm_add_relu and fuse_batch_norm_relu make of it.
// x, x[1], y [N,H,W,C]; weight, bias, running_mean, running_variance [1,1,1,C].
// The variance that normalises is the biased one; the one that goes into running_variance is unbiased
// (·n/(n-1), n = N·H·W; as it is where n = 1), as in PyTorch.  Statistics are summed in f32 or better for any dtype.
// Ranks that share statistics (CompileRequest::ranks) have those of all their micro-batches, n·ranks samples; each adds
// them to batch_state.
// A frozen layer in a training pass writes no gradient of its parameters, but normalises with the statistics of the
// micro-batch and adds them to batch_state all the same, as in PyTorch, unless it has the option `inference`.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

struct BatchNormOptions {
  float epsilon = 1e-5F;
  float momentum = 0.1F;   // running = (1 - momentum) · running + momentum · batch
  bool add = false;        // a second input of the same shape is added; set by a rewrite rule
  bool relu = false;       // set by a rewrite rule
  bool scale = true;       // whether there is a weight; without one it is 1
  bool shift = true;       // whether there is a bias; without one it is 0
  bool inference = false;  // training normalises with the running statistics too, and leaves them as they are
};

class BatchNorm : public Layer {
 public:
  static constexpr const char* kType = "batch_norm";
  explicit BatchNorm(const BatchNormOptions& options) : options_(options) {}
  const BatchNormOptions& options() const { return options_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(
      std::span<const Shape> inputs) const override;  // weight 1, bias 0, where there are
  // running_mean 0, running_variance 1.  The momentum of `inference` is 0: they stand still and travel nowhere.
  std::vector<StateSpec> state(std::span<const Shape> inputs) const override;

 private:
  BatchNormOptions options_;
};

// Where they are in KernelArgs::w and dw; null where there is none.
struct BatchNormParameters {
  float *weight = nullptr, *bias = nullptr;
};
BatchNormParameters batch_norm_parameters(const BatchNormOptions& options, const std::vector<Tensor>& tensors);

// Of training.  Two, where dx[0] waits for the sums of all ranks that share statistics: the first has all but it.
std::vector<BackwardPart> batch_norm_backward_parts(const BatchNormOptions& options, const CompileRequest& request);

std::unique_ptr<Kernel> make_cpu_kernel(const BatchNorm& layer, const CompileRequest& request);

}  // namespace convoy
