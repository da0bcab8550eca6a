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
// as must `device`, of the same library.  Collectives may be captured; f16 can be summed too.  in_flight() is always 0:
// to know better would cost an event for each collective.
//
// Errors: a thread asks NCCL ten times a second whether it met one in the background, and aborts; so whatever the host
// waits for on the device ends, and the next call, progress() among them, throws Error(kUnavailable) that names this
// rank and NCCL's reason.  NCCL hears of a peer that is gone by the network only: within a host it is the launcher that
// ends the other processes.  Throws Error(kUnavailable), the same on all ranks, where NCCL does not start, also because
// two ranks share a GPU: NCCL refuses that, see dist/staged.h.
std::unique_ptr<Communicator> make_nccl_communicator(const CudaLibrary& library, Communicator& host, Device& device,
                                                     const NcclOptions& options);

}  // namespace convoy
