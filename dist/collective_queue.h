// Collectives as values in a queue: what the CPU transports (shared window, progress thread) have in common.
#pragma once

#include <algorithm>

#include "core/base/element_range.h"
#include "core/device/device.h"
#include "dist/communicator.h"

namespace convoy {

struct Collective {
  enum class Kind : uint8_t { kAllReduce, kReduceScatter, kAllGather, kBroadcast };
  Kind kind = Kind::kAllReduce;
  Tensor tensor;
  int root = 0;  // of a broadcast
};
const char* to_string(Collective::Kind kind);  // "all_reduce", …

// Appends, and forgets all where nobody takes them.
void add_time(std::vector<double>& times, double seconds);

// Rank r's part of `elements`, as reduce_scatter and all_gather cut it; may be empty.
constexpr ElementRange part_of_rank(int rank, int ranks, int64_t elements) {
  const int64_t part = (elements + ranks - 1) / ranks;
  return {std::min(rank * part, elements), std::min((rank + 1) * part, elements)};
}

// The communicator's stream.  Tensors belong to the queue from enqueue() until synchronize() has returned.
class CollectiveQueue : public Stream {
 public:
  virtual void enqueue(const Collective& collective) = 0;
  virtual void progress() = 0;
  virtual int64_t in_flight() = 0;
  // A point behind all that was enqueued so far, and waiting until that has ended.
  virtual uint64_t mark() = 0;
  virtual void wait_past(uint64_t mark) = 0;
  virtual std::vector<double> take_busy_seconds() = 0;
  void synchronize() override { wait_past(mark()); }
  // Work may start as soon as it is enqueued.
  void wait_for(Stream& other) override { other.synchronize(); }
};

// The tensor half of a communicator, given a queue.
class QueueCommunicator : public Communicator {
 public:
  Stream& stream() override { return queue(); }
  void all_reduce_sum(Tensor inout) override { enqueue({Collective::Kind::kAllReduce, inout}); }
  void reduce_scatter_sum(Tensor inout) override { enqueue({Collective::Kind::kReduceScatter, inout}); }
  void all_gather(Tensor inout) override { enqueue({Collective::Kind::kAllGather, inout}); }
  void broadcast(Tensor inout, int root) override { enqueue({Collective::Kind::kBroadcast, inout, root}); }
  void progress() override { queue().progress(); }
  int64_t in_flight() override { return queue().in_flight(); }
  std::unique_ptr<Event> make_event() override;
  std::vector<double> take_busy_seconds() override { return queue().take_busy_seconds(); }

 protected:
  virtual CollectiveQueue& queue() = 0;

 private:
  void enqueue(const Collective& collective);
};

}  // namespace convoy
