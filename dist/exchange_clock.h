// What communication costs a device that runs ahead of the host: that sees none of it, least of all in captured work.
#pragma once

#include "core/graph/plan.h"
#include "core/train/flat_ops.h"

namespace convoy {

// Adds up, on the device and by its own clock, how long compute waits and how long collectives take.
class ExchangeClock {
 public:
  // Nanoseconds.  Two views of the same time, never to be summed.
  struct Times {
    int64_t exposed = 0, busy = 0;
  };
  // Of `buckets` of gradients, and of what is kNoBucket.  Both must outlive it.
  ExchangeClock(Device& device, FlatOps& ops, size_t buckets)
      : ops_(ops), times_(device.allocator(), static_cast<int64_t>((1 + buckets) * sizeof(Times))) {}

  void clear(Stream& stream) const { ops_.clear(times_.as<float>(), times_.bytes() / size_of(Dtype::kF32), stream); }

  // Runs `work`, which gives work to `stream`, and adds how long that takes.
  template <class Work>
  void add(int64_t Times::*to, int bucket, Stream& stream, const Work& work) const {
    int64_t* const total = &(times_.as<Times>()[place(bucket)].*to);
    ops_.add_clock(total, -1, stream);
    work();
    ops_.add_clock(total, +1, stream);
  }

  // What to fetch, in device memory; and what was fetched says of a bucket.
  const Buffer& times() const { return times_; }
  static const Times& of(int bucket, const void* fetched) { return static_cast<const Times*>(fetched)[place(bucket)]; }

 private:
  static size_t place(int bucket) { return static_cast<size_t>(bucket - kNoBucket); }

  FlatOps& ops_;
  Buffer times_;
};

}  // namespace convoy
