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

std::string processor_mask() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::string(std::thread::hardware_concurrency(), '1');
  std::string mask;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor) mask += CPU_ISSET(processor, &set) ? '1' : '0';
  return mask;
}

int processors_of_rank(const std::string& mine, const std::vector<std::string>& masks, int limit) {
  std::string together = mine;
  for (const std::string& mask : masks) {
    together.resize(std::max(together.size(), mask.size()), '0');
    for (size_t i = 0; i < mask.size(); ++i) together[i] = std::max(together[i], mask[i]);
  }
  const auto ranks = static_cast<std::ptrdiff_t>(std::max<size_t>(masks.size(), 1));
  const std::ptrdiff_t part = std::ranges::count(together, '1') / ranks;
  return static_cast<int>(std::max<std::ptrdiff_t>(1, std::min({std::ranges::count(mine, '1'), part, limit / ranks})));
}

int processor_limit() {
  return std::min(static_cast<int>(std::ceil(std::min(cgroup_quota(), 1e6))), omp_get_thread_limit());
}

}  // namespace convoy
