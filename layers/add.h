// y = x[0] + x[1] + …, two inputs or more of one shape: where the branches of a residual block meet.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Add : public Layer {
 public:
  static constexpr const char* kType = "add";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Add& layer, const CompileRequest& request);

}  // namespace convoy
