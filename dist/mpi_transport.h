// How tensors travel between the processes of an MPI job; for dist/mpi*.cpp only.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <memory>
#include <string>

#include "dist/collective_queue.h"

namespace convoy {

class MpiTransportLayer {
 public:
  virtual ~MpiTransportLayer() = default;
  virtual CollectiveQueue& queue() = 0;
  virtual Allocator& allocator() = 0;
  virtual std::string name() const = 0;
  virtual std::string order_of_sums() const { return "by rank"; }
  // Tells waiting peers that this rank will not come, as far as there is a way.
  virtual void fail() noexcept = 0;
};

// All are collective over `comm`, and use duplicates of it.

// Null where /dev/shm is too small even to start; `why` says so, the same on all ranks.
// Requires: all ranks are on one host.
std::unique_ptr<MpiTransportLayer> make_window_transport(MPI_Comm comm, int64_t shared_bytes, std::string& why);

// Null where the hosts have one rank each, or different numbers, or too small a /dev/shm; `why` then says so.
// `ranks_per_host`: 0, or how many ranks, in their order, are taken to share a host.
std::unique_ptr<MpiTransportLayer> make_hierarchical_transport(MPI_Comm comm, int ranks_per_host, int64_t shared_bytes,
                                                               std::string& why);

std::unique_ptr<MpiTransportLayer> make_progress_thread_transport(MPI_Comm comm, const std::string& why);

}  // namespace convoy
