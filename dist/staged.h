// Sums over GPUs through the host: for ranks that share a GPU, and for machines without NCCL.
#pragma once

#include <memory>

#include "dist/communicator.h"

namespace convoy {

// Copies tensors of `device` to the host, has `host` do the work, and copies the result back; the host waits for each.
// Both must outlive it.  Memory of its allocator is device memory.  Its collectives cannot be captured.
std::unique_ptr<Communicator> make_staged_communicator(Communicator& host, Device& device);

}  // namespace convoy
