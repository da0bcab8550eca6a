// Compute threads of the CPU device: one OpenMP team, the same that oneDNN uses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <omp.h>

namespace convoy {

// The processors that this thread may run on, one character each: '1' or '0'.
std::string processor_mask();

// Processors for one of several ranks of a host: those of its own `mine`, but no more than its part of what all ranks
// together have (`masks`, its own among them) and of `limit`.  At least 1.  So ranks that a launcher bound to
// processors of their own use all of these, and ranks that share them divide them.
int processors_of_rank(const std::string& mine, const std::vector<std::string>& masks, int limit);

// What the cgroup's CPU quota and OMP_THREAD_LIMIT allow this process; a large number where nothing is limited.
int processor_limit();

// Calls body(begin, end) on disjoint ranges that cover [0, n), in parallel when each thread gets at least `grain`
// items.  The ranges depend on n, grain and the number of threads only.
template <class Body>
void parallel_for(int64_t n, int64_t grain, Body body) {
  const int64_t most = omp_get_max_threads();
  const int64_t parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, most);
  if (parts == 1) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
#pragma omp parallel for num_threads(static_cast<int>(parts)) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) body(n * part / parts, n * (part + 1) / parts);
}

}  // namespace convoy
