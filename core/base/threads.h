// Compute threads of the CPU device: one OpenMP team, the same that oneDNN uses.
#pragma once

#include <algorithm>
#include <cstdint>

#include <omp.h>

namespace convoy {

// min(processors this process may run on, cgroup CPU quota, OMP_THREAD_LIMIT), at least 1.
int available_processors();

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
