// The small interface behind which cuDNN and cuBLASLt lie: one pass of a convolution.  A linear layer is a convolution
// of images of one pixel.
//
// layers/libraries_cuda.cpp implements it for the card; tests/cuda_on_cpu/libraries.cpp with plain loops, so that
// everything around the libraries runs in CI.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"
#include "core/device/types.h"
#include "layers/registry.h"
#include "layers/window.h"

namespace convoy {

// One pass of y = conv(x, w): x [N,H,W,C], w [O,h,w,C/groups], y [N,H,W,O].  Sums are in f32.
struct ConvolutionSpec {
  enum class Pass : uint8_t { kForward, kBackwardData, kBackwardWeights };
  Pass pass = Pass::kForward;
  Shape x, w, y;
  WindowAxes axes{};
  int groups = 1;
  Dtype dtype = Dtype::kF32;   // of x, w, bias, y and their gradients, but dw, which is `result`
  Dtype result = Dtype::kF32;  // of what the pass writes
  bool bias = false;           // forward: y + bias [O]
  bool relu = false;           // forward: max(y, 0)
};

// Compiled for one spec.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual std::string engine() const = 0;  // for the plan table: "cudnn:eng42"
  // forward (x, w, bias) → y; backward data (dy, w) → dx; backward weights (x, dy) → dw.  Device memory.
  virtual void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) = 0;
};

class CudaLibraries {
 public:
  virtual ~CudaLibraries() = default;
  // Null where the libraries have no engine for this; the caller then has kernels of its own.  Must not outlive this.
  virtual std::unique_ptr<Convolution> convolution(const ConvolutionSpec& spec) = 0;
};

// The handles belong to the device that is current.  Throws Error(kUnavailable).
std::unique_ptr<CudaLibraries> make_cuda_libraries(Device& device, const CudaKernelOptions& options);

}  // namespace convoy
