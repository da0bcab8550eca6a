// What communication costs a device that runs ahead of the host: that sees none of it, least of all in captured work.
#pragma once

#include "core/train/flat_ops.h"

namespace convoy {

// Adds up, on the device and by its own clock, how long compute waits and how long collectives take.
class ExchangeClock {
 public:
  // Nanoseconds.  Two views of the same time, never to be summed.
  struct Times {
    int64_t exposed = 0, busy = 0;
  };
  // Of `buckets` of gradients; and of exchanges of no bucket, whose number is -1.  Both must outlive it.
  ExchangeClock(Device& device, FlatOps& ops, size_t buckets)
      : ops_(ops), times_(device.allocator(), static_cast<int64_t>((1 + buckets) * sizeof(Times))) {}

  void clear(Stream& stream) const { ops_.clear(times_.as<float>(), times_.bytes() / size_of(Dtype::kF32), stream); }

  // Runs `work`, which gives work to `stream`, and adds how long that takes.
  template <class Work>
  void add(int64_t Times::*to, int bucket, Stream& stream, const Work& work) const {
    int64_t* const total = &(times_.as<Times>()[1 + bucket].*to);
    ops_.add_clock(total, -1, stream);
    work();
    ops_.add_clock(total, +1, stream);
  }

  // Device memory: by bucket, from -1 on.
  const Buffer& times() const { return times_; }

 private:
  FlatOps& ops_;
  Buffer times_;
};

}  // namespace convoy
