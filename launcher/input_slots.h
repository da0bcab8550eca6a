// How micro-batches get to the device: the next one is copied while the one before is still being worked on.
#pragma once

#include <memory>
#include <vector>

#include "core/device/device.h"

namespace convoy {

// One of the two inputs of a network: pixels or targets.
struct InputCopy {
  void* to;          // device memory that the programs read
  const void* from;  // of the host
  int64_t bytes;
};

// Programs read fixed memory.  On a device that runs ahead, batches arrive in two slots beside it, on the copy stream,
// and are moved from there by the compute stream: a few microseconds at the speed of device memory, for which plans are
// captured once and not once per slot.  Elsewhere they are copied where they are read.
class InputSlots {
 public:
  // For inputs of `bytes` in all.  The device must outlive it.
  InputSlots(Device& device, int64_t bytes);

  // Work given to the compute stream from now on sees these inputs.  What `from` points to must stay until
  // wait_until_read() has returned; pinned memory lets the host go on meanwhile.
  void load(const std::vector<InputCopy>& inputs);
  void wait_until_read() { read_->wait(); }

 private:
  struct Slot {
    Buffer memory;
    std::unique_ptr<Event> free;
  };
  Device& device_;
  std::vector<Slot> slots_;  // none where inputs are copied directly
  size_t next_ = 0;
  std::unique_ptr<Event> read_;  // the host memory of the last load
};

}  // namespace convoy
