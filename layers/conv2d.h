// y = conv(x, weight) + bias: x [N,H,W,C], weight [O,h,w,C/groups], bias [1,1,1,O].
// Optionally y = y + x[1], in evaluation only, and then y = max(y, 0): what rewrite rules make of it.
#pragma once

#include <array>
#include <string_view>

#include "core/graph/layer.h"
#include "layers/window.h"

namespace convoy {

// How the weights of conv2d and linear start.  fan_in is what one output is a sum of, kernel area × channels of a
// group; fan_out is kernel area × filters.  All but kPytorch start the bias at 0.
enum class WeightInitializer : uint8_t {
  kPytorch,             // uniform in ±1/sqrt(fan_in), weights and bias alike; torch.nn's default
  kKaimingNormal,       // normal with standard deviation sqrt(2 / fan_out) (He et al. 2015); torchvision's ResNets
  kKaimingNormalFanIn,  // … sqrt(2 / fan_in); torchvision's DenseNets
  kKaimingUniform,      // uniform in ±sqrt(6 / fan_in); torchvision's SqueezeNets
  kGlorotUniform,       // uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010); Keras' default
  kNormal,              // normal with standard deviation 0.01; linear layers of torchvision's VGGs
  kUniformFanIn,        // uniform in ±1/sqrt(fan_in); linear layers of torchvision's DenseNets
  kUniformFanOut,       // uniform in ±1/sqrt(fan_out); linear layers of torchvision's EfficientNets
};
inline constexpr std::array<std::string_view, 8> kWeightInitializers = {
    "pytorch",        "kaiming_normal", "kaiming_normal_fan_in", "kaiming_uniform",
    "glorot_uniform", "normal",         "uniform_fan_in",        "uniform_fan_out"};
// By its name above.  Throws Error(kConfig).
WeightInitializer weight_initializer(const std::string& name);
Initializer weight_start(WeightInitializer kind, int64_t fan_in, int64_t fan_out);
Initializer bias_start(WeightInitializer kind, int64_t fan_in);

struct Conv2dOptions {
  int filters = 1;
  Window window;
  int groups = 1;  // divides input channels and filters; = channels is a depthwise convolution
  bool bias = true;
  bool relu = false;  // set by the rewrite rule fuse_conv_relu
  WeightInitializer initializer = WeightInitializer::kPytorch;
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
