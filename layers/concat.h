// y = x[0], x[1], … one behind the other along the channels; all else of their shapes is equal.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Concat : public Layer {
 public:
  static constexpr const char* kType = "concat";
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Concat& layer, const CompileRequest& request);

}  // namespace convoy
