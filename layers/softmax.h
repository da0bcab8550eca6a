// y[c] = e^x[c] / Σ e^x over the channels of each pixel.  y is f32 whatever x is: backward is told by y alone.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Softmax : public Layer {
 public:
  static constexpr const char* kType = "softmax";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Softmax& layer, const CompileRequest& request);

}  // namespace convoy
