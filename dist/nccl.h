// Sums over GPUs by NCCL, one rank a GPU.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device/cuda_library.h"
#include "dist/communicator.h"

namespace convoy {

struct NcclOptions {
  bool symmetric = true;  // gradient memory in a window that all ranks share, where this NCCL and these GPUs have it
};

// Collective over `host`, which does the host's part (bytes, barrier, abort, ranks of this host) and must outlive it,
// as must `device`, of the same library.  Collectives may be captured.  progress() looks for errors that NCCL met in
// the background; an error ends in Error(kUnavailable) that names this rank and NCCL's reason. Throws
// Error(kUnavailable), also where two ranks share a GPU: NCCL refuses that, see dist/staged.h.
std::unique_ptr<Communicator> make_nccl_communicator(const CudaLibrary& library, Communicator& host, Device& device,
                                                     const NcclOptions& options);

}  // namespace convoy
