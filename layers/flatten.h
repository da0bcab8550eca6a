// [N,H,W,C] → [N,1,1,H·W·C], in N,H,W,C order.  No copy: the output is the input under another shape.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Flatten : public Layer {
 public:
  static constexpr const char* kType = "flatten";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Flatten& layer, const CompileRequest& request);

}  // namespace convoy
