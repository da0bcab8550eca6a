#include "core/train/flat_ops.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <limits>
#include <random>
#include <vector>

namespace convoy {
namespace {

constexpr int64_t kElements = 50'003;  // several threads' worth, and no multiple of any vector
using Floats = std::vector<float>;

Floats random_floats(unsigned seed, float least, float most) {
  std::mt19937 random(seed);
  Floats values(kElements);
  for (float& value : values) value = least + (most - least) * static_cast<float>(random() % 65536) / 65536;
  return values;
}

// Everything that FlatOps can do, one after the other, on the same buffers.
struct Results {
  Floats value = random_floats(1, -1, 1), gradient = random_floats(2, -3, 3), momentum = random_floats(3, -1, 1),
         variance = random_floats(4, 0, 1), state = random_floats(5, -2, 2);
  friend bool operator==(const Results&, const Results&) = default;
};

Results run_all(SimdLevel level, int threads) {
  const std::unique_ptr<Device> device = make_cpu_device(threads);
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops(level);
  Stream& stream = device->compute();
  const StepScalars scalars{.learning_rate = 0.1F, .step = 3, .one_over_micro_batches = 1.0F / 3};
  const float control[kControlSize] = {};
  const UpdateRange most{1, kElements - 2, 0.5F, 0.01F};
  Results it;
  float *value = it.value.data(), *gradient = it.gradient.data(), *momentum = it.momentum.data();
  ops->sgd(value, gradient, nullptr, most, {}, &scalars, control, stream);
  ops->sgd(value, gradient, momentum, most, {0.9F, false}, &scalars, control, stream);
  ops->sgd(value, gradient, momentum, most, {0.9F, true}, &scalars, control, stream);
  ops->adam(value, gradient, momentum, it.variance.data(), most, {}, &scalars, control, stream);
  ops->update_state(it.state.data(), value, kElements, 0.1F, &scalars, control, stream);
  ops->add(gradient, value, kElements, stream);
  return it;
}

TEST(FlatOps, EqualBitsAtEverySimdLevelAndNumberOfThreads) {
  const Results expected = run_all(SimdLevel::kBaseline, 1);
  EXPECT_NE(expected.value, Results().value);
  for (SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512}) {
    if (level > simd_level()) continue;
    for (int threads : {1, 2, 3})
      EXPECT_TRUE(run_all(level, threads) == expected) << to_string(level) << ", " << threads;
  }
  omp_set_num_threads(1);
}

TEST(FlatOps, UpdatesItsRangeOnly) {
  const Results before, after = run_all(simd_level(), 1);
  for (size_t i : {size_t{0}, static_cast<size_t>(kElements - 2), static_cast<size_t>(kElements - 1)}) {
    EXPECT_EQ(after.value[i], before.value[i]);
    EXPECT_EQ(after.momentum[i], before.momentum[i]);
    EXPECT_EQ(after.variance[i], before.variance[i]);
  }
  EXPECT_NE(after.value[1], before.value[1]);
  EXPECT_NE(after.value[kElements - 3], before.value[kElements - 3]);
}

TEST(FlatOps, ClearCopyAdd) {
  const std::unique_ptr<Device> device = make_cpu_device(2);
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
  Stream& stream = device->compute();
  const Floats from = random_floats(1, -1, 1);
  Floats to(kElements, std::numeric_limits<float>::quiet_NaN());
  ops->copy(to.data(), from.data(), kElements, stream);
  EXPECT_EQ(to, from);
  ops->add(to.data(), from.data(), kElements - 1, stream);
  for (size_t i = 0; i + 1 < to.size(); ++i) ASSERT_EQ(to[i], 2 * from[i]);
  EXPECT_EQ(to.back(), from.back());
  ops->clear(to.data(), kElements - 1, stream);
  for (size_t i = 0; i + 1 < to.size(); ++i) ASSERT_EQ(to[i], 0);
  EXPECT_EQ(to.back(), from.back());
  omp_set_num_threads(1);
}

TEST(FlatOps, FlagsNanAndInfinityWhereverTheyAre) {
  const std::unique_ptr<Device> device = make_cpu_device(2);
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
  std::vector<float> values(100003, 1.0F);
  values[7] = -std::numeric_limits<float>::max();
  float control[kControlSize] = {};
  const auto flag = [&] {
    ops->flag_nonfinite(values.data(), static_cast<int64_t>(values.size()), control, device->compute());
  };
  flag();
  EXPECT_EQ(control[kNonFinite], 0);
  float expected = 0;
  for (const size_t at : {size_t{0}, size_t{50001}, values.size() - 1}) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      values[at] = bad;
      flag();
      values[at] = 1;
      EXPECT_EQ(control[kNonFinite], ++expected) << at << " " << bad;
    }
  }
}

}  // namespace
}  // namespace convoy
