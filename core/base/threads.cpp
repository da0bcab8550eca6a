#include "core/base/threads.h"

#include <sched.h>

#include <cmath>
#include <fstream>
#include <string>
#include <thread>

namespace convoy {
namespace {

// Processors that the cgroup's quota amounts to; a huge number when there is no quota.
double cgroup_quota() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    return quota == "max" || period <= 0 ? 1e9 : std::stod(quota) / period;
  }
  double microseconds = 0;
  std::ifstream v1("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1 >> microseconds && v1_period >> period && microseconds > 0 && period > 0) return microseconds / period;
  return 1e9;
}

}  // namespace

int available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int processors = static_cast<int>(std::thread::hardware_concurrency());
  if (sched_getaffinity(0, sizeof set, &set) == 0) processors = CPU_COUNT(&set);
  processors = std::min(processors, omp_get_thread_limit());
  return std::max(1, std::min(processors, static_cast<int>(std::ceil(std::min(cgroup_quota(), 1e6)))));
}

}  // namespace convoy
