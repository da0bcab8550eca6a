// Small layers with plain-loop kernels for tests of core/graph and dist: every way in which a kernel can treat memory,
// with arithmetic that can be checked by hand.  Types f32 and bf16, canonical and blocked layouts.
//
//   scale      y = w x, one parameter                      reads x for dw
//   affine     y = w x + b, two parameters
//   add        y = x0 + x1 + …                             its gradients are dy itself
//   multiply   y = x0 x1                                   reads both inputs; one part writes both gradients
//   tanh       y = tanh x                                  keeps y and y² in `saved`; scribbles over its workspace
//   relu       y = max(x, 0)                               reads y
//   count      y = x; adds the sum of x to its state      its gradient is dy itself
//   flatten    y = x as [N,1,1,HWC]                        no steps at all
//   blocked    y = 2 x, in and out channels in groups of 8
//   half       y = x, in and out bf16
//   loss       sum of x² / 2, into control[kLossSum] too   the backward pass starts here
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace convoy::fake {

// A layer of one of the types above.  `initial` is the value of scale's parameter.
std::unique_ptr<Layer> make_layer(const std::string& type, float initial = 1);

// Every kernel fails (CHECK) when it is run before it was bound.
class Kernels : public KernelFactory {
 public:
  std::unique_ptr<Kernel> make(const Layer& layer, const CompileRequest& request) const override;
  std::unique_ptr<Kernel> make_conversion(const ValueType& from, const ValueType& to, bool wants_dx) const override;
  std::unique_ptr<Kernel> make_sum(const ValueType& type, int terms) const override;
};

// Element `index`, counted in N,H,W,C order, whatever the dtype and layout.
float read(const Tensor& tensor, int64_t index);
void write(const Tensor& tensor, int64_t index, float value);
std::vector<float> read_all(const Tensor& tensor);

}  // namespace convoy::fake
