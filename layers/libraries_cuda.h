// The small interface behind which cuDNN and cuBLASLt lie: one pass of a convolution, one matrix product.
//
// layers/cudnn_cuda.cpp and layers/cublaslt_cuda.cpp implement it for the card; tests/cuda_on_cpu/libraries.cpp with
// plain loops, so that everything around the libraries runs in CI.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/device/device.h"
#include "core/device/types.h"
#include "layers/registry.h"
#include "layers/window.h"

namespace convoy {

// One pass of y = conv(x, w): x [N,H,W,C], w [O,h,w,C/groups], y [N,H,W,O].
struct ConvolutionSpec {
  enum class Pass : uint8_t { kForward, kBackwardData, kBackwardWeights };
  Pass pass = Pass::kForward;
  Shape x, w, y;
  WindowAxes axes{};
  int groups = 1;
  Dtype dtype = Dtype::kF32;   // of x, w, y and their gradients, but dw, which is `result`
  Dtype result = Dtype::kF32;  // of what the pass writes
  bool bias = false;           // forward: y + bias (f32, [O])
  bool relu = false;           // forward: max(y, 0)
};

// Compiled for one spec.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual std::string engine() const = 0;  // for the plan table: "cudnn:engine 42"
  // forward (x, w, bias) → y; backward data (dy, w) → dx; backward weights (x, dy) → dw.  Device memory.
  virtual void run(const void* a, const void* b, const float* bias, void* result, void* workspace, Stream& stream) = 0;
};

// One product result = a · b of row-major matrices, summed in f32.
struct MatmulSpec {
  int64_t rows = 0, columns = 0, inner = 0;  // result [rows, columns]
  bool transpose_a = false,
       transpose_b = false;   // a [rows, inner], or [inner, rows]; b [inner, columns], or transposed
  Dtype dtype = Dtype::kF32;  // of a and b
  Dtype result = Dtype::kF32;
  bool bias = false;  // + bias (f32, [columns])
  bool relu = false;  // max(…, 0)
};

class Matmul {
 public:
  virtual ~Matmul() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual std::string engine() const = 0;
  virtual void run(const void* a, const void* b, const float* bias, void* result, void* workspace, Stream& stream) = 0;
};

class CudaLibraries {
 public:
  virtual ~CudaLibraries() = default;
  // Null where the library has no engine for this; the caller then has kernels of its own.
  virtual std::unique_ptr<Convolution> convolution(const ConvolutionSpec& spec) = 0;
  virtual std::unique_ptr<Matmul> matmul(const MatmulSpec& spec) = 0;
};

// The handles belong to the device that is current.  Throws Error(kUnavailable).
std::unique_ptr<CudaLibraries> make_cuda_libraries(Device& device, const CudaKernelOptions& options);

}  // namespace convoy
