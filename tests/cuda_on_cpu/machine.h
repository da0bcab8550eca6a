// The machine that the fake pretends to be, for tests: its GPUs, how they order work, what fails.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace convoy::cuda_on_cpu {

// In which order work runs that streams and events leave free.  All but kThreads run it lazily, in the thread that
// waits, and no further than it must: host code that looks at results too early sees old ones.
enum class Schedule : uint8_t {
  kProgram,      // as it was given
  kRandom,       // by seed
  kFirstStream,  // the stream (or branch of a graph) made first runs as far as it can before the others
  kLastStream,
  kThreads,  // a thread for each, at once, synchronised by nothing but what the program asked for: ThreadSanitizer sees
             // a missing wait.  Device memory is always accessible.
};

struct Machine {
  Schedule schedule = Schedule::kProgram;
  uint64_t seed = 1;
  int devices = 8;
  std::size_t memory = std::size_t{4} << 30;  // bytes of each device
  bool driver = true;
};

// A machine in its first state; the one before is gone with all that was on it.  Requires: no thread uses CUDA.
void boot(const Machine& machine);

// The n-th call of `function` ("cudaMalloc") from now on fails with `error`; 1 is the next.
void fail_call(const std::string& function, int n, cudaError_t error);

// What was made and not yet destroyed, on all devices.
struct Live {
  int allocations = 0, pinned = 0, streams = 0, events = 0, graphs = 0, executables = 0;
  friend bool operator==(const Live&, const Live&) = default;
};
Live live();

}  // namespace convoy::cuda_on_cpu
