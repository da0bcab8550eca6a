// The gradient of a convolution as a layer (torch.nn.ConvTranspose2d): each input pixel is multiplied into a window of
// the output, and windows add up.
//
//   y[n, p·stride - low + r, q·stride - low + s, o] += x[n,p,q,i] · weight[o,r,s,i],   + bias
//
// x [N,H,W,I], weight [O,h,w,I], bias [1,1,1,O].  Sizes: see transposed_axes().
#pragma once

#include "core/graph/layer.h"
#include "layers/weight_initializer.h"
#include "layers/window.h"

namespace convoy {

struct ConvTransposeOptions {
  int filters = 1;
  Window window = {};  // dilation 1
  int output_padding_h = 0, output_padding_w = 0;
  bool bias = true;
  WeightInitializer initializer = {};
};

class ConvTranspose : public Layer {
 public:
  static constexpr const char* kType = "conv_transpose";
  explicit ConvTranspose(const ConvTransposeOptions& options) : options_(options) {}
  const ConvTransposeOptions& options() const { return options_; }
  // Of the convolution from y to x.
  WindowAxes axes(const Shape& x) const;

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
  std::vector<ParameterSpec> parameters(std::span<const Shape> inputs) const override;
  int64_t forward_flops(std::span<const Shape> inputs) const override;

 private:
  ConvTransposeOptions options_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const ConvTranspose& layer, const CompileRequest& request);

}  // namespace convoy
