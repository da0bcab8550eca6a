// The kernels and products of the GPU as libconvoy_cuda.so makes them; for *_cuda.* files and tests that link them.
#pragma once

#include "core/train/matrix_product.h"
#include "layers/registry.h"

namespace convoy {

std::unique_ptr<KernelFactory> cuda_kernels(Device& device, const CudaKernelOptions& options);
std::unique_ptr<MatrixProducts> cuda_products(Device& device, const CudaKernelOptions& options);

}  // namespace convoy
