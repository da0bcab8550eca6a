// Small things that travel between host and device in every step, without anybody waiting.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "core/device/device.h"

namespace convoy {

// Host memory of a transfer that may still be under way.
struct TransferSlot {
  TransferSlot(Device& device, int64_t bytes) : memory(device.host_allocator(), bytes), done(device.make_event()) {}
  Buffer memory;
  std::unique_ptr<Event> done;
};

// Fixed memory of the device that the host overwrites, in the order of the compute stream.
class Upload {
 public:
  // The device must outlive it.
  Upload(Device& device, int64_t bytes) : device_(device), memory_(device.allocator(), bytes) {
    for (size_t i = 0; i < kSlots; ++i) slots_.emplace_back(device, bytes);
  }
  void* data() const { return memory_.data(); }
  // Work given to the compute stream from now on sees `value`; memory_ has its size.
  void send(const void* value) {
    TransferSlot& slot = slots_[next_++ % kSlots];
    slot.done->wait();
    std::memcpy(slot.memory.data(), value, static_cast<size_t>(memory_.bytes()));
    device_.copy(memory_.data(), slot.memory.data(), memory_.bytes(), device_.compute());
    slot.done->record(device_.compute());
  }

 private:
  static constexpr size_t kSlots = 8;  // values under way
  Device& device_;
  Buffer memory_;
  std::vector<TransferSlot> slots_;
  size_t next_ = 0;
};

// Results of the device that the host takes later, in the order in which they were fetched.
class Download {
 public:
  static constexpr size_t kSlots = 4;
  Download(Device& device, int64_t bytes) : device_(device), bytes_(bytes) {
    for (size_t i = 0; i < kSlots; ++i) slots_.emplace_back(device, bytes);
  }
  // Copies from device memory behind the work given to the compute stream so far.  Requires: pending() < kSlots.
  void fetch(const void* from) {
    CHECK(pending() < kSlots);
    TransferSlot& slot = slots_[fetched_++ % kSlots];
    device_.copy(slot.memory.data(), from, bytes_, device_.compute());
    slot.done->record(device_.compute());
  }
  size_t pending() const { return fetched_ - taken_; }
  // The oldest that was fetched and not taken; waits for it.  Valid until the next fetch().  Requires: pending() > 0.
  const void* take() {
    CHECK(pending() > 0);
    TransferSlot& slot = slots_[taken_++ % kSlots];
    slot.done->wait();
    return slot.memory.data();
  }

 private:
  Device& device_;
  int64_t bytes_;
  std::vector<TransferSlot> slots_;
  size_t fetched_ = 0, taken_ = 0;
};

}  // namespace convoy
