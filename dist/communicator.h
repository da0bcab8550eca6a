// How ranks talk to each other: RankGroup for set-up, Communicator for training.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/device/device.h"

namespace convoy {

// Ranks that tell each other small things: all that set-up needs, and there before a communicator is.
class RankGroup {
 public:
  virtual ~RankGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Collective, blocking, on the host.
  virtual std::vector<std::string> all_gather_bytes(const std::string& mine) = 0;  // by rank
};

// Ranks that add numbers together.  One per process (or per thread, in a thread group).
//
// Implementations: solo (one rank), thread_group (N ranks as threads, for tests), mpi (shared window within a host,
// progress thread between hosts), staged (device memory through another one), and nccl in libconvoy_cuda.so.  Ranks
// only ever *sum*: a loss is already divided by the global count, so there is no average and no mean of means.
//
// Threads: one thread per rank calls into a communicator.  All ranks call the same collectives in the same order with
// the same types; start-up agreement (dist/agreement.h) makes sure that they run the same plan.
class Communicator : public RankGroup {
 public:
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual int local_size() const = 0;
  // For the run header: "solo", "mpi (shared window)", "mpi (progress thread: ranks are on 2 hosts)", …
  virtual std::string name() const = 0;

  // Memory from here is reduced in place without copies; collectives accept any other memory too, more slowly.
  // Allocation is collective: every rank allocates the same sizes in the same order, and frees likewise.
  virtual Allocator& allocator() = 0;

  // ---- Tensors: enqueued on stream(), in call order; f32, bf16 and i32, canonical layout.
  // Every rank ends with the same bits.  The order of the sum is fixed for a given number of ranks.
  virtual Stream& stream() = 0;
  virtual void all_reduce_sum(Tensor inout) = 0;
  // `inout` is cut into size() parts of ceil(elements / size()) elements; afterwards rank r's part holds the sum.
  virtual void reduce_scatter_sum(Tensor inout) = 0;
  // The inverse: rank r's part is copied to all ranks.
  virtual void all_gather(Tensor inout) = 0;
  virtual void broadcast(Tensor inout, int root) = 0;
  // Marks points of stream(), for compute to wait until.
  virtual std::unique_ptr<Event> make_event() = 0;
  // Moves enqueued work on as far as it goes without blocking.  A plan calls this between its steps.
  virtual void progress() = 0;
  // Pieces of work given to stream() that have not ended on this rank; for traces.
  virtual int64_t in_flight() = 0;
  // Seconds that this rank spent on each of the collectives that ended since the last call, in their order.  Where
  // ranks share memory: adding and copying.  Between hosts: from a collective's turn to its end, waiting for late peers
  // included.  None where the host does not see them.
  virtual std::vector<double> take_busy_seconds() { return {}; }
  // Who is added to whom first, for manifests: bits depend on it.
  virtual std::string order_of_sums() const { return "by rank"; }
  // Whether the bits of a sum depend on how tensors are cut into those that are summed.
  virtual bool cuts_change_bits() const { return false; }
  // Whether collectives may be part of Device::capture().
  virtual bool capturable() const { return false; }

  // ---- Host: blocking, small.
  virtual void barrier() = 0;
  virtual std::string broadcast_bytes(const std::string& mine, int root) = 0;
  // Ends every rank with `code` as soon as possible; peers blocked in a collective do not hang.
  [[noreturn]] virtual void abort(ExitCode code) noexcept = 0;
};

// One rank; sums are the identity.
std::unique_ptr<Communicator> make_solo_communicator();

}  // namespace convoy
