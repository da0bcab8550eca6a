// The NCCL communicator as libconvoy_cuda.so makes it; for *_cuda.* files and tests that link them.
#pragma once

#include "dist/nccl.h"

namespace convoy {

std::unique_ptr<Communicator> nccl_communicator(Communicator& host, Device& device, const NcclOptions& options);

}  // namespace convoy
