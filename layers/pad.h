// y = x with `value` around each image: x [N,H,W,C], y [N, top+H+bottom, left+W+right, C].  The gradient is that of the
// pixels inside.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

struct PadOptions {
  int top = 0, bottom = 0, left = 0, right = 0;
  float value = 0;
};

class Pad : public Layer {
 public:
  static constexpr const char* kType = "pad";
  explicit Pad(const PadOptions& options) : options_(options) {}
  const PadOptions& options() const { return options_; }
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  PadOptions options_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Pad& layer, const CompileRequest& request);

}  // namespace convoy
