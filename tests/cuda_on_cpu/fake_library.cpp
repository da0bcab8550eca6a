#include "tests/cuda_on_cpu/fake_library.h"

#include <cstdlib>
#include <string>

#include "core/device/cuda_factory.h"
#include "tests/cuda_on_cpu/machine.h"

namespace fake = convoy::cuda_on_cpu;

void convoy_fake_boot(const FakeMachine& machine) {
  fake::Machine it;
  it.schedule = static_cast<fake::Schedule>(machine.schedule);
  it.seed = machine.seed;
  it.devices = machine.devices;
  it.driver = machine.driver;
  fake::boot(it);
}

FakeLive convoy_fake_live() {
  const fake::Live live = fake::live();
  return {live.allocations, live.pinned, live.streams, live.events, live.graphs + live.executables};
}

int convoy_cudnn_version() { return 0; }  // plain loops
