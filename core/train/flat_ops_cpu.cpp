#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/base/simd.h"
#include "core/base/threads.h"
#include "core/train/flat_ops.h"

namespace convoy {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread of their own

bool skips(const float* control) { return control[kNonFinite] > 0; }

class CpuFlatOps : public FlatOps {
 public:
  explicit CpuFlatOps(SimdLevel level) : level_(level) {}

  void clear(float* to, int64_t elements, Stream&) override {
    parallel_for(elements, kGrain, [=](int64_t begin, int64_t end) {
      std::memset(to + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
    });
  }

  void copy(float* to, const float* from, int64_t elements, Stream&) override {
    parallel_for(elements, kGrain, [=](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
  }

  void add(float* to, const float* from, int64_t elements, Stream&) override {
    for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { to[i] += from[i]; });
  }

  void flag_nonfinite(const float* from, int64_t elements, float* control, Stream&) override {
    std::atomic<bool> found = false;
    parallel_for(elements, kGrain, [=, this, &found](int64_t begin, int64_t end) {
      constexpr uint32_t kInfinity = 0x7f800000;
      uint32_t largest = 0;  // of the bits without sign: infinity and NaN are above all numbers
      simd(
          [=, &largest]() CONVOY_INLINE {
            uint32_t most = 0;
            for (int64_t i = begin; i < end; ++i) {
              most = std::max(most, __builtin_bit_cast(uint32_t, from[i]) & 0x7fffffffU);
            }
            largest = most;
          },
          level_);
      if (largest >= kInfinity) found = true;
    });
    if (found) control[kNonFinite] += 1;
  }

  void sgd(float* value, const float* gradient, float* momentum_buffer, const UpdateRange& range,
           const SgdOptions& options, const StepScalars* scalars, const float* control, Stream&) override {
    if (skips(control)) return;
    const float rate = scalars->learning_rate * range.learning_rate_scale;
    const float decay = range.weight_decay, momentum = options.momentum;
    const bool nesterov = options.nesterov;
    if (momentum == 0) {
      for_range(range, [=](int64_t i) CONVOY_INLINE { value[i] -= rate * (gradient[i] + decay * value[i]); });
      return;
    }
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i] + decay * value[i];
      const float m = momentum * momentum_buffer[i] + g;
      momentum_buffer[i] = m;
      value[i] -= rate * (nesterov ? g + momentum * m : m);
    });
  }

  void adam(float* value, const float* gradient, float* mean, float* variance, const UpdateRange& range,
            const AdamOptions& options, const StepScalars* scalars, const float* control, Stream&) override {
    if (skips(control)) return;
    const auto step = static_cast<double>(scalars->step + 1);
    const double correction1 = 1 - std::pow(static_cast<double>(options.beta1), step);
    const double correction2 = 1 - std::pow(static_cast<double>(options.beta2), step);
    const auto rate = static_cast<float>(double{scalars->learning_rate} * range.learning_rate_scale / correction1);
    const auto root = static_cast<float>(1 / std::sqrt(correction2));
    const float b1 = options.beta1, b2 = options.beta2, epsilon = options.epsilon, decay = range.weight_decay;
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i] + decay * value[i];
      const float m = b1 * mean[i] + (1 - b1) * g;
      const float v = b2 * variance[i] + (1 - b2) * g * g;
      mean[i] = m;
      variance[i] = v;
      value[i] -= rate * m / (std::sqrt(v) * root + epsilon);
    });
  }

  void update_state(float* state, const float* sum, int64_t elements, float momentum, const StepScalars* scalars,
                    const float* control, Stream&) override {
    if (skips(control)) return;
    const float share = scalars->one_over_micro_batches;
    for (int64_t i = 0; i < elements; ++i) state[i] = (1 - momentum) * state[i] + momentum * (sum[i] * share);
  }

 private:
  template <class Element>
  void for_range(const UpdateRange& range, Element element) const {
    parallel_for(range.end - range.begin, kGrain, [=, level = level_](int64_t begin, int64_t end) {
      const int64_t first = range.begin + begin, last = range.begin + end;
      simd(
          [=]() CONVOY_INLINE {
            for (int64_t i = first; i < last; ++i) element(i);
          },
          level);
    });
  }

  const SimdLevel level_;
};

}  // namespace

std::unique_ptr<FlatOps> make_cpu_flat_ops(SimdLevel level) { return std::make_unique<CpuFlatOps>(level); }

}  // namespace convoy
