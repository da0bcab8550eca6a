// The kernels of a device: one line per layer type in registry_<device>.cpp.
#pragma once

#include <memory>
#include <string>

#include "core/device/cuda_library.h"
#include "core/graph/layer.h"

namespace convoy {

std::unique_ptr<KernelFactory> make_cpu_kernels();

struct CudaKernelOptions {
  bool deterministic = true;  // only engines whose results are the same bits in every run
  bool tf32 = false;          // f32 convolutions and products with 10 bits of mantissa, several times faster
  bool autotune = false;      // engines by timing all that fit, not by the library's guess
};
// For `device`, which is of the same library and outlives them.  Throws Error(kUnavailable).
std::unique_ptr<KernelFactory> make_cuda_kernels(const CudaLibrary& library, Device& device,
                                                 const CudaKernelOptions& options);

// The library behind the CPU's as it runs here, with the instruction sets that it uses (DNNL_MAX_CPU_ISA lowers them):
// "oneDNN 2.6.3, isa 0xe7".  Results may differ in their last bits where this does.
std::string cpu_kernel_library();

}  // namespace convoy
