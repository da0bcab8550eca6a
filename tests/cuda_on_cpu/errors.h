// The status of calls: the last error of each thread, and what a kernel did wrong.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace convoy::cuda_on_cpu {

// Remembers an error as the last one of the calling thread; returns it.
cudaError_t returned(cudaError_t error);

// Work failed: from now on calls return cudaErrorLaunchFailure, whose text is `what`, as CUDA's sticky errors do.
void set_fault(const std::string& what);
bool has_fault();
void clear_fault();

}  // namespace convoy::cuda_on_cpu
