// What libraries_cuda.cpp is made of: the engines of cuDNN and of cuBLASLt.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

#include <source_location>
#include <vector>

#include "layers/libraries_cuda.h"

namespace convoy {

// Convolutions that compute the same, those that should be fast first; empty where a library has none.
using Engines = std::vector<std::unique_ptr<Convolution>>;

// Bytes of scratch memory that an engine may ask for.
inline constexpr int64_t kMostWorkspace = int64_t{1} << 30;

// The card that cuDNN plans for.  Without a handle, engines are found for the card that `properties` (of type
// CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) describes, but cannot run.  Both must outlive the engines.
struct CudnnTarget {
  cudnnHandle_t handle = nullptr;
  cudnnBackendDescriptor_t properties = nullptr;
};
Engines cudnn_engines(const CudnnTarget& target, const ConvolutionSpec& spec, const CudaKernelOptions& options,
                      size_t most);

// Requires: is_product(spec).  The handle must outlive the engines.
Engines cublaslt_engines(cublasLtHandle_t handle, const ConvolutionSpec& spec, const CudaKernelOptions& options,
                         size_t most);

// Whether each output pixel depends on the input pixel at its place only, so that a pass is a product of matrices.
bool is_product(const ConvolutionSpec& spec);

// Throw Error(kUnavailable), or kOutOfMemory, with the library's words and the place of the call.
void check(cudnnStatus_t status, std::source_location where = std::source_location::current());
void check(cublasStatus_t status, std::source_location where = std::source_location::current());

}  // namespace convoy
