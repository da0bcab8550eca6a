// Products of matrices for optimizers: oneDNN's on the CPU, cuBLASLt's on a GPU.
#pragma once

#include "core/train/matrix_product.h"
#include "layers/registry.h"

namespace convoy {

std::unique_ptr<MatrixProducts> make_cpu_products();
// For `device`, which is of the same library and outlives them.  Throws Error(kUnavailable).
std::unique_ptr<MatrixProducts> make_cuda_products(const CudaLibrary& library, Device& device,
                                                   const CudaKernelOptions& options);

}  // namespace convoy
