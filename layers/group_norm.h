// Normalisation of each image by itself, the same in training and evaluation:
//
//   y = weight · (x - mean) / sqrt(variance + epsilon) + bias
//
//   group_norm   mean and variance over H, W and the channels of a group (Wu & He 2018; torch.nn.GroupNorm)
//   layer_norm   over the channels of each pixel (Ba et al. 2016; torch.nn.LayerNorm(C) on N,H,W,C)
//
// x, y [N,H,W,C]; weight, bias [1,1,1,C].  The variance is the biased one.  Statistics are f32 or better for any dtype.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

struct GroupNormOptions {
  int groups = 1;  // divides the channels
  float epsilon = 1e-5F;
};

class GroupNorm : public Layer {
 public:
  static constexpr const char* kType = "group_norm";
  explicit GroupNorm(const GroupNormOptions& options) : options_(options) {}
  const GroupNormOptions& options() const { return options_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override;  // weight 1, bias 0

 private:
  GroupNormOptions options_;
};

class LayerNorm : public Layer {
 public:
  static constexpr const char* kType = "layer_norm";
  explicit LayerNorm(float epsilon) : epsilon_(epsilon) {}
  float epsilon() const { return epsilon_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override;  // weight 1, bias 0

 private:
  float epsilon_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const GroupNorm& layer, const CompileRequest& request);
std::unique_ptr<Kernel> make_cpu_kernel(const LayerNorm& layer, const CompileRequest& request);

}  // namespace convoy
