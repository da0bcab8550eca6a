#include "core/device/cuda_factory.h"
#include "layers/products.h"
#include "layers/registry.h"

namespace convoy {

std::unique_ptr<KernelFactory> make_cuda_kernels(const CudaLibrary& library, Device& device,
                                                 const CudaKernelOptions& options) {
  return std::unique_ptr<KernelFactory>(
      library.function<decltype(convoy_cuda_make_kernels)>("convoy_cuda_make_kernels")(device, options));
}

std::unique_ptr<MatrixProducts> make_cuda_products(const CudaLibrary& library, Device& device,
                                                   const CudaKernelOptions& options) {
  return std::unique_ptr<MatrixProducts>(
      library.function<decltype(convoy_cuda_make_products)>("convoy_cuda_make_products")(device, options));
}

}  // namespace convoy
