// y = x · weightᵀ + bias, optionally with relu: x [N,1,1,I], weight [O,1,1,I], bias [1,1,1,O], y [N,1,1,O].
#pragma once

#include "layers/weight_initializer.h"

namespace convoy {

struct LinearOptions {
  int units = 1;
  bool bias = true;
  bool relu = false;  // set by the rewrite rule fuse_linear_relu
  WeightInitializer initializer = {};
};

class Linear : public Layer {
 public:
  static constexpr const char* kType = "linear";
  explicit Linear(const LinearOptions& options) : options_(options) {}
  const LinearOptions& options() const { return options_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override;
  int64_t forward_flops(std::span<const Shape> inputs) const override;

 private:
  LinearOptions options_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Linear& layer, const CompileRequest& request);

}  // namespace convoy
