// y = x[0] · x[1], element by element.  x[1] has the shape of x[0] [N,H,W,C], or is [N,1,1,C]: one factor for a channel
// of an image, as in squeeze-and-excitation (Hu et al. 2018).
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Multiply : public Layer {
 public:
  static constexpr const char* kType = "multiply";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Multiply& layer, const CompileRequest& request);

}  // namespace convoy
