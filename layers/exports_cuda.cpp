#include "core/device/cuda_factory.h"
#include "layers/registry_cuda.h"

convoy::KernelFactory* convoy_cuda_make_kernels(convoy::Device& device, const convoy::CudaKernelOptions& options) {
  return convoy::cuda_kernels(device, options).release();
}

convoy::MatrixProducts* convoy_cuda_make_products(convoy::Device& device, const convoy::CudaKernelOptions& options) {
  return convoy::cuda_products(device, options).release();
}
