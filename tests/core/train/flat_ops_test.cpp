// The CPU's FlatOps: what all devices are held to, and equal bits however they run.
#include <gtest/gtest.h>
#include <omp.h>

#include "tests/core/train/flat_ops_checks.h"

namespace convoy {

FlatOpsUnderTest flat_ops_under_test() { return {make_cpu_device(2), make_cpu_flat_ops()}; }

namespace {

TEST(CpuFlatOps, EqualBitsAtEverySimdLevelAndNumberOfThreads) {
  for (const Dtype shadow : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    const UpdateCase it{.shadow = shadow};
    for (const auto& [name, run] : kRuns) {
      SCOPED_TRACE(name);
      const Updated expected = run(it, *make_cpu_flat_ops(SimdLevel::kBaseline), *make_cpu_device(1));
      for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
        if (level > simd_level()) continue;
        for (const int threads : {1, 2, 3}) {
          EXPECT_TRUE(run(it, *make_cpu_flat_ops(level), *make_cpu_device(threads)) == expected)
              << to_string(level) << ", " << threads;
        }
      }
    }
  }
  omp_set_num_threads(1);
}

}  // namespace
}  // namespace convoy
