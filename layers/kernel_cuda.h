// What the kernels of the GPU share; for *_cuda.* files.  Activations are canonical (N,H,W,C), f32, bf16 or f16.
#pragma once

#include "core/device/for_each_cuda.h"
#include "layers/kernel_base.h"

namespace convoy {

class CudaKernel : public KernelBase {
 public:
  std::string engine() const override { return "own"; }
};

// `type` as the GPU takes it: canonical.  Throws Error(kConfig) unless it is f32, bf16 or f16.
ValueType activation_cuda(const ValueType& type);

}  // namespace convoy
