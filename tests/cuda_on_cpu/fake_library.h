// What the fake libconvoy_cuda.so exports beside what the real one does: the machine that it pretends to be.
#pragma once

#include <cstdint>

enum class FakeSchedule : uint8_t { kProgram, kRandom, kFirstStream, kLastStream, kThreads };

// See tests/cuda_on_cpu/machine.h.
struct FakeMachine {
  FakeSchedule schedule = FakeSchedule::kProgram;
  uint64_t seed = 1;
  int devices = 8;
  bool driver = true;
};

// Made and not yet destroyed.
struct FakeLive {
  int device_memory, pinned_memory, streams, events, graphs;
};

#define CONVOY_FAKE_EXPORT extern "C" __attribute__((visibility("default")))

// Requires: no thread uses CUDA.
CONVOY_FAKE_EXPORT void convoy_fake_boot(const FakeMachine& machine);
CONVOY_FAKE_EXPORT FakeLive convoy_fake_live();
