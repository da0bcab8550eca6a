// PyTorch's AdaptiveAvgPool2d: y [N,h,w,C] of a fixed size, whatever x [N,H,W,C] is.  Output row i is the mean of the
// rows floor(i·H/h) to ceil((i+1)·H/h) - 1, columns alike; they overlap where H is no multiple of h.
#pragma once

#include "core/graph/layer.h"
#include "layers/window.h"

namespace convoy {

class AdaptiveAveragePool : public Layer {
 public:
  static constexpr const char* kType = "adaptive_average_pool";
  AdaptiveAveragePool(int height, int width) : height_(height), width_(width) {}

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  int height_, width_;
};

// What one of `of` places covers of `into` others: the elements of an output, and the outputs of an element.
constexpr WindowSpan adaptive_span(int64_t place, int64_t of, int64_t into) {
  return {static_cast<int>(place * into / of), static_cast<int>(((place + 1) * into + of - 1) / of)};
}

std::unique_ptr<Kernel> make_cpu_kernel(const AdaptiveAveragePool& layer, const CompileRequest& request);

}  // namespace convoy
