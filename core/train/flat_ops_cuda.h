// The GPU's FlatOps as libconvoy_cuda.so makes them; for *_cuda.* files and tests that link them.
#pragma once

#include "core/train/flat_ops.h"

namespace convoy {

// For the device that is current.  Throws Error(kOutOfMemory).
std::unique_ptr<FlatOps> cuda_flat_ops();

}  // namespace convoy
