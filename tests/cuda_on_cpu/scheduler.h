// Runs what streams are given, in an order that their dependencies allow.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/cuda_on_cpu/machine.h"
#include "tests/cuda_on_cpu/memory.h"

namespace convoy::cuda_on_cpu {

// 1 when a piece of work has ended.  Lives as long as its scheduler.
using Ended = std::atomic<uint32_t>;
using Ends = std::vector<Ended*>;

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual unsigned new_lane() = 0;  // for work that is given in an order in which it may run
  // `work` runs when all of `after` has ended.  What it throws is a fault (errors.h); then nothing runs any more.
  virtual Ended* give(unsigned lane, Ends after, std::function<void()> work) = 0;
  // The host waits.
  virtual void wait(const Ends& ends) = 0;
  // The host looks: something may go on.
  virtual void look() = 0;
  static bool ended(const Ends& ends);

 protected:
  static void run(const std::function<void()>& work);
};

std::unique_ptr<Scheduler> make_lazy_scheduler(Schedule schedule, uint64_t seed, DeviceMemory& memory);
// `memory` stays open.
std::unique_ptr<Scheduler> make_thread_scheduler(DeviceMemory& memory);

}  // namespace convoy::cuda_on_cpu
