#include "tests/cuda_on_cpu/machine.h"

#include <algorithm>
#include <map>

#include "tests/cuda_on_cpu/state.h"

namespace convoy::cuda_on_cpu {
namespace {

// Everything there is.
struct World {
  explicit World(const Machine& machine) : machine(machine) {
    for (int i = 0; i < machine.devices; ++i) devices.emplace_back(machine);
  }
  const Machine machine;
  std::deque<Device> devices;
  std::mutex mutex;
  std::map<const std::byte*, size_t> pinned;                    // guarded by mutex
  std::map<std::string, std::pair<int, cudaError_t>> failures;  // guarded by mutex
};

std::unique_ptr<World>& world() {
  static auto world = std::make_unique<World>(Machine());
  return world;
}

thread_local int current = 0;

template <class Things>
int count_alive(const Things& things) {
  return static_cast<int>(std::ranges::count_if(things, [](const auto& it) { return it.alive; }));
}

}  // namespace

Device::Device(const Machine& machine)
    : memory(machine.memory),
      scheduler(machine.schedule == Schedule::kThreads ? make_thread_scheduler(memory)
                                                       : make_lazy_scheduler(machine.schedule, machine.seed, memory)),
      default_stream{this, scheduler->new_lane()} {}

void boot(const Machine& machine) {
  world() = nullptr;
  clear_fault();
  world() = std::make_unique<World>(machine);
}

void fail_call(const std::string& function, int n, cudaError_t error) {
  const std::lock_guard lock(world()->mutex);
  world()->failures[function] = {n, error};
}

Live live() {
  Live live;
  for (Device& device : world()->devices) {
    const std::lock_guard lock(device.mutex);
    live.allocations += device.memory.allocations();
    live.streams += count_alive(device.streams);
    live.events += count_alive(device.events);
    live.graphs += count_alive(device.graphs);
    live.executables += count_alive(device.executables);
  }
  const std::lock_guard lock(world()->mutex);
  live.pinned = static_cast<int>(world()->pinned.size());
  return live;
}

const Machine& machine() { return world()->machine; }
Device& device(int index) { return world()->devices.at(static_cast<size_t>(index)); }
Device& current_device() { return device(current); }
int current_index() { return current; }
void set_current(int index) { current = index; }

cudaError_t enter(const char* function) {
  {
    const std::lock_guard lock(world()->mutex);
    const auto failure = world()->failures.find(function);
    if (failure != world()->failures.end() && --failure->second.first == 0) {
      const cudaError_t error = failure->second.second;
      world()->failures.erase(failure);
      return error;
    }
  }
  if (!machine().driver) return cudaErrorInsufficientDriver;
  if (machine().devices == 0) return cudaErrorNoDevice;
  return has_fault() ? cudaErrorLaunchFailure : cudaSuccess;
}

void add_pinned(void* data, size_t bytes) {
  const std::lock_guard lock(world()->mutex);
  world()->pinned[static_cast<std::byte*>(data)] = bytes;
}

bool remove_pinned(void* data) {
  const std::lock_guard lock(world()->mutex);
  return world()->pinned.erase(static_cast<std::byte*>(data)) == 1;
}

bool is_pinned(const void* data) {
  const std::lock_guard lock(world()->mutex);
  const auto* const at = static_cast<const std::byte*>(data);
  auto block = world()->pinned.upper_bound(at);
  if (block == world()->pinned.begin()) return false;
  --block;
  return at < block->first + block->second;
}

}  // namespace convoy::cuda_on_cpu
