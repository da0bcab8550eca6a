// Status of the CUDA runtime, as exceptions; for *_cuda.* files.
#pragma once

#include <cuda_runtime.h>

#include <source_location>
#include <string>

#include "core/base/error.h"

namespace convoy {

// Throws Error: kOutOfMemory for memory, else kUnavailable, with CUDA's words and the place of the call.
inline void check(cudaError_t status, std::source_location where = std::source_location::current()) {
  if (status == cudaSuccess) return;
  throw Error(status == cudaErrorMemoryAllocation ? ExitCode::kOutOfMemory : ExitCode::kUnavailable,
              std::string("CUDA: ") + cudaGetErrorString(status) + " (" + cudaGetErrorName(status) + ", in " +
                  where.function_name() + ", " + where.file_name() + ":" + std::to_string(where.line()) + ")");
}

}  // namespace convoy
