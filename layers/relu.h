// y = max(x, 0).  The gradient at 0 is 0.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Relu : public Layer {
 public:
  static constexpr const char* kType = "relu";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Relu& layer, const CompileRequest& request);

}  // namespace convoy
