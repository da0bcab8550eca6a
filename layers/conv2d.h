// y = conv(x, weight) + bias: x [N,H,W,C], weight [O,h,w,C/groups], bias [1,1,1,O].
// Optionally y = y + x[1], in evaluation only, and then y = max(y, 0): what rewrite rules make of it.
#pragma once

#include "core/graph/layer.h"
#include "layers/weight_initializer.h"
#include "layers/window.h"

namespace convoy {

struct Conv2dOptions {
  int filters = 1;
  Window window;
  int groups = 1;  // divides input channels and filters; = channels is a depthwise convolution
  bool bias = true;
  bool relu = false;  // set by the rewrite rule fuse_conv_relu
  WeightInitializer initializer = {};
  bool add = false;  // a second input of y's shape is added; set by the rewrite rule fuse_conv_add
};

class Conv2d : public Layer {
 public:
  static constexpr const char* kType = "conv2d";
  explicit Conv2d(const Conv2dOptions& options) : options_(options) {}
  const Conv2dOptions& options() const { return options_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override;
  int64_t forward_flops(std::span<const Shape> inputs) const override;

 private:
  Conv2dOptions options_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Conv2d& layer, const CompileRequest& request);

}  // namespace convoy
