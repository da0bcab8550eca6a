// What libraries_cuda.cpp is made of: the engines of cuDNN and of cuBLASLt.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>

#include <source_location>

#include "layers/libraries_cuda.h"

namespace convoy {

struct EngineRequest {
  const ConvolutionSpec& spec;
  const CudaKernelOptions& options;
  Device& device;  // for memory and time when engines are tried out
};

// Bytes of scratch memory that an engine may ask for.
inline constexpr int64_t kMostWorkspace = int64_t{1} << 30;

// Null where the library has none.  The handle must outlive the result.
std::unique_ptr<Convolution> cudnn_convolution(cudnnHandle_t handle, const EngineRequest& request);
// Requires: is_product(spec).
std::unique_ptr<Convolution> cublaslt_convolution(cublasLtHandle_t handle, const EngineRequest& request);

// Whether each output pixel depends on the input pixel at its place only, so that a pass is a product of matrices.
bool is_product(const ConvolutionSpec& spec);

// Throw Error(kUnavailable), or kOutOfMemory, with the library's words and the place of the call.
void check(cudnnStatus_t status, std::source_location where = std::source_location::current());
void check(cublasStatus_t status, std::source_location where = std::source_location::current());

}  // namespace convoy
