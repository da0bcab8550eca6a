#include "launcher/input_slots.h"

namespace convoy {
namespace {

constexpr int64_t kAlignment = 256;

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

InputSlots::InputSlots(Device& device, int64_t bytes) : device_(device), read_(device.make_event()) {
  if (!device.runs_ahead()) return;
  constexpr int kInputs = 2;
  for (int i = 0; i < 2; ++i) {
    slots_.push_back({Buffer(device.allocator(), bytes + kInputs * kAlignment), device.make_event()});
  }
}

void InputSlots::load(const std::vector<InputCopy>& inputs) {
  Stream &copies = device_.copies(), &compute = device_.compute();
  if (slots_.empty()) {
    for (const InputCopy& input : inputs) device_.copy(input.to, input.from, input.bytes, compute);
    return;
  }
  const Slot& slot = slots_[next_++ % slots_.size()];
  copies.wait_until(*slot.free);
  int64_t offset = 0;
  for (const InputCopy& input : inputs) {
    device_.copy(slot.memory.as<std::byte>() + offset, input.from, input.bytes, copies);
    offset += aligned(input.bytes);
  }
  CHECK(offset <= slot.memory.bytes());
  read_->record(copies);
  compute.wait_until(*read_);
  offset = 0;
  for (const InputCopy& input : inputs) {
    device_.copy(input.to, slot.memory.as<std::byte>() + offset, input.bytes, compute);
    offset += aligned(input.bytes);
  }
  slot.free->record(compute);
}

}  // namespace convoy
