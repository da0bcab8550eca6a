// What the kernels of the GPU share; for *_cuda.* files.  Activations are canonical (N,H,W,C), f32, bf16 or f16.
#pragma once

#include <algorithm>

#include "core/device/elements_cuda.h"
#include "core/device/launch_cuda.h"
#include "layers/kernel_base.h"

namespace convoy {

class CudaKernel : public KernelBase {
 public:
  std::string engine() const override { return "own"; }
};

// `type` as the GPU takes it: canonical.  Throws Error(kConfig) unless it is f32, bf16 or f16.
ValueType activation_cuda(const ValueType& type);

// Blocks of block_threads() threads that walk `items` with a grid-stride loop.
inline unsigned blocks_for(int64_t items) {
  constexpr int64_t kMostBlocks = 132 * 16;  // enough to fill the largest card; more only adds launches of blocks
  const int block = block_threads();
  return static_cast<unsigned>(std::clamp<int64_t>((items + block - 1) / block, 1, kMostBlocks));
}

}  // namespace convoy
