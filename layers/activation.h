// y = f(x) of each element, for the functions of activation_functions.h but relu, which has its own layer.
//
// Backward is told by y where y says enough: y is what the next layer keeps anyway.
#pragma once

#include "core/graph/layer.h"
#include "layers/activation_functions.h"

namespace convoy {

class Activation : public Layer {
 public:
  explicit Activation(const ActivationFunction& function) : function_(function) {}
  const ActivationFunction& function() const { return function_; }

  std::string type() const override;  // kType of the function
  // Throws Error(kConfig) where a parameter of the function is not what it requires.
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  ActivationFunction function_;
};

// Whether backward reads y, where activations have `dtype`; else x.
constexpr bool slope_from_output(SlopeFrom from, Dtype dtype) {
  return from == SlopeFrom::kOutput || (from == SlopeFrom::kUnroundedOutput && dtype == Dtype::kF32);
}

// dy/dx; `known` is y if kFromOutput, else x.
template <bool kFromOutput, class F>
CONVOY_INLINE constexpr float slope_at(const F& function, float known) {
  if constexpr (F::kSlopeFrom == SlopeFrom::kUnroundedOutput && !kFromOutput) {
    return function.slope(function.value(known));
  } else {
    return function.slope(known);
  }
}

std::unique_ptr<Kernel> make_cpu_kernel(const Activation& layer, const CompileRequest& request);

}  // namespace convoy
