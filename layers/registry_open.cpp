#include "core/device/cuda_factory.h"
#include "layers/registry.h"

namespace convoy {

std::unique_ptr<KernelFactory> make_cuda_kernels(const CudaLibrary& library, Device& device,
                                                 const CudaKernelOptions& options) {
  return std::unique_ptr<KernelFactory>(
      library.function<decltype(convoy_cuda_make_kernels)>("convoy_cuda_make_kernels")(device, options));
}

}  // namespace convoy
