#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/simd.h"
#include "core/base/threads.h"
#include "core/train/flat_ops.h"

namespace convoy {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements worth a thread of their own

// What a gradient goes through before anything else.
struct Gradient {
  const float* from;
  float factor, largest;

  explicit Gradient(const UpdateBuffers& buffers, const UpdateControl& control)
      : from(buffers.gradient),
        factor(1 / control.loss_scale->scale * (control.clip == nullptr ? 1 : *control.clip)),
        largest(control.largest > 0 ? control.largest : std::numeric_limits<float>::infinity()) {}
  float operator[](int64_t i) const { return std::min(std::max(from[i] * factor, -largest), largest); }
};

// Adam's bias correction.
struct Correction {
  double mean, variance;  // what they are divided by

  Correction(const AdamOptions& options, const UpdateControl& control) {
    const auto step = static_cast<double>(options.steps_before + control.scalars->step + 1);
    mean = 1 - std::pow(static_cast<double>(options.beta1), step);
    variance = 1 - std::pow(static_cast<double>(options.beta2), step);
  }
};

bool skips(const UpdateControl& it) { return it.control[kNonFinite] > 0 || it.control[kOverflow] > 0; }

float widen(const void* from, Dtype dtype, int64_t i) {
  switch (dtype) {
    case Dtype::kBF16: return bf16_to_f32(static_cast<const uint16_t*>(from)[i]);
    case Dtype::kF16: return f16_to_f32(static_cast<const uint16_t*>(from)[i]);
    default: return static_cast<const float*>(from)[i];
  }
}

void narrow(void* to, Dtype dtype, int64_t i, float value) {
  switch (dtype) {
    case Dtype::kBF16: static_cast<uint16_t*>(to)[i] = f32_to_bf16(value); return;
    case Dtype::kF16: static_cast<uint16_t*>(to)[i] = f32_to_f16(value); return;
    default: static_cast<float*>(to)[i] = value;
  }
}

void gather_line(const ImageRow& row, const ImageSet& images, int y, uint8_t* to) {
  const Shape& shape = images.shape;
  const int64_t bytes = int64_t{shape.w} * shape.c;
  if (row.plain()) {
    std::memcpy(to, images.pixels + row.own * images.bytes() + y * bytes, static_cast<size_t>(bytes));
  } else {
    for (int x = 0; x < shape.w; ++x) gather_pixel(row, images, x, y, to + int64_t{x} * shape.c);
  }
}

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

  void convert(void* to, Dtype to_dtype, const void* from, Dtype from_dtype, int64_t elements, Stream&) override {
    if (to_dtype == Dtype::kBF16 && from_dtype == Dtype::kF32) {
      const auto* const wide = static_cast<const float*>(from);
      auto* const narrowed = static_cast<uint16_t*>(to);
      return for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { narrowed[i] = f32_to_bf16(wide[i]); });
    }
    if (to_dtype == Dtype::kF32 && from_dtype == Dtype::kBF16) {
      const auto* const narrowed = static_cast<const uint16_t*>(from);
      auto* const wide = static_cast<float*>(to);
      return for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { wide[i] = bf16_to_f32(narrowed[i]); });
    }
    parallel_for(elements, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) narrow(to, to_dtype, i, widen(from, from_dtype, i));
    });
  }

  void add_clock(int64_t* nanoseconds, int sign, Stream&) override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    *nanoseconds += sign * std::chrono::nanoseconds(now).count();
  }

  void gather_images(uint8_t* to, const ImageSet& images, const ImageRow* rows, int count, Stream&) override {
    const int64_t h = images.shape.h, bytes = int64_t{images.shape.w} * images.shape.c;  // of a line
    parallel_for(count * h, std::max<int64_t>(1, kGrain / bytes), [=](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        gather_line(rows[line / h], images, static_cast<int>(line % h), to + line * bytes);
      }
    });
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
    if (found) control[kOverflow] += 1;
  }

  void sgd(const UpdateBuffers& buffers, float* momentum_buffer, const UpdateRange& range, const SgdOptions& options,
           const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const Gradient gradient(buffers, control);
    const float rate = control.scalars->learning_rate * range.learning_rate_scale;
    const float decay = range.weight_decay, momentum = options.momentum;
    const bool nesterov = options.nesterov;
    if (momentum == 0) {
      for_range(range, [=](int64_t i) CONVOY_INLINE { value[i] -= rate * (gradient[i] + decay * value[i]); });
    } else {
      for_range(range, [=](int64_t i) CONVOY_INLINE {
        const float g = gradient[i] + decay * value[i];
        const float m = momentum * momentum_buffer[i] + g;
        momentum_buffer[i] = m;
        value[i] -= rate * (nesterov ? g + momentum * m : m);
      });
    }
    write_shadow(buffers, range, stream);
  }

  void adam(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
            const AdamOptions& options, const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const Gradient gradient(buffers, control);
    const Correction correction(options, control);
    const auto rate =
        static_cast<float>(double{control.scalars->learning_rate} * range.learning_rate_scale / correction.mean);
    const auto root = static_cast<float>(1 / std::sqrt(correction.variance));
    const float b1 = options.beta1, b2 = options.beta2, epsilon = options.epsilon;
    const float decay = options.decoupled ? 0 : range.weight_decay;
    const float keep = options.decoupled ? static_cast<float>(share_kept(range, control)) : 1;
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i] + decay * value[i];
      const float m = b1 * mean[i] + (1 - b1) * g;
      const float v = b2 * variance[i] + (1 - b2) * g * g;
      mean[i] = m;
      variance[i] = v;
      value[i] = keep * value[i] - rate * m / (std::sqrt(v) * root + epsilon);
    });
    write_shadow(buffers, range, stream);
  }

  void rmsprop(const UpdateBuffers& buffers, float* variance, float* momentum_buffer, const UpdateRange& range,
               const RmspropOptions& options, const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const Gradient gradient(buffers, control);
    const float rate = control.scalars->learning_rate * range.learning_rate_scale;
    const float alpha = options.alpha, epsilon = options.epsilon, momentum = options.momentum;
    const float decay = range.weight_decay;
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i] + decay * value[i];
      const float v = alpha * variance[i] + (1 - alpha) * g * g;
      variance[i] = v;
      float m = g / (std::sqrt(v) + epsilon);
      if (momentum != 0) {
        m += momentum * momentum_buffer[i];
        momentum_buffer[i] = m;
      }
      value[i] -= rate * m;
    });
    write_shadow(buffers, range, stream);
  }

  void norm(float* norm, const float* from, int64_t elements, Stream&) override {
    *norm = static_cast<float>(norm_of(from, {0, elements}));
  }

  void clip_norm(const float* gradient, int64_t elements, const LossScale* loss_scale, float largest, float* control,
                 float* clip, Stream&) override {
    const double norm = norm_of(gradient, {0, elements}) / double{loss_scale->scale};
    control[kGradientNorm] = static_cast<float>(norm);
    *clip = static_cast<float>(std::min(1.0, double{largest} / (norm + 1e-6)));
  }

  void lars(const UpdateBuffers& buffers, float* velocity, const UpdateRange& range, const LarsOptions& options,
            const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const Gradient gradient(buffers, control);
    const float decay = range.weight_decay, momentum = options.momentum;
    double local = 1;
    if (range.rows > 0) {
      const double w = norm_of(value, range);
      const double g = norm_of(range, [=](int64_t i) CONVOY_INLINE { return gradient[i]; });
      if (w > 0 && g > 0) local = double{options.trust} * w / (g + double{decay} * w + double{options.epsilon});
    }
    const auto rate = static_cast<float>(double{control.scalars->learning_rate} * range.learning_rate_scale * local);
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float v = momentum * velocity[i] + rate * (gradient[i] + decay * value[i]);
      velocity[i] = v;
      value[i] -= v;
    });
    write_shadow(buffers, range, stream);
  }

  void lamb(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
            const AdamOptions& options, const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const Gradient gradient(buffers, control);
    const Correction correction(options, control);
    const auto scale = static_cast<float>(1 / correction.mean);
    const auto root = static_cast<float>(1 / std::sqrt(correction.variance));
    const float b1 = options.beta1, b2 = options.beta2, epsilon = options.epsilon, decay = range.weight_decay;
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i];
      mean[i] = b1 * mean[i] + (1 - b1) * g;
      variance[i] = b2 * variance[i] + (1 - b2) * g * g;
    });
    const auto direction = [=](int64_t i) CONVOY_INLINE {
      return mean[i] * scale / (std::sqrt(variance[i]) * root + epsilon) + decay * value[i];
    };
    double ratio = 1;
    if (range.rows > 0) {
      const double w = norm_of(value, range), r = norm_of(range, direction);
      if (w > 0 && r > 0) ratio = w / r;
    }
    const auto rate = static_cast<float>(double{control.scalars->learning_rate} * range.learning_rate_scale * ratio);
    for_range(range, [=](int64_t i) CONVOY_INLINE { value[i] -= rate * direction(i); });
    write_shadow(buffers, range, stream);
  }

  void muon_direction(const UpdateBuffers& buffers, float* momentum_buffer, float* direction, const UpdateRange& range,
                      const MuonOptions& options, const UpdateControl& control, Stream&) override {
    if (skips(control)) return;
    const Gradient gradient(buffers, control);
    const float momentum = options.sgd.momentum;
    const bool nesterov = options.sgd.nesterov;
    float* const to = direction - range.begin;
    for_range(range, [=](int64_t i) CONVOY_INLINE {
      const float g = gradient[i];
      float u = g;
      if (momentum != 0) {
        const float m = momentum * momentum_buffer[i] + g;
        momentum_buffer[i] = m;
        u = nesterov ? g + momentum * m : m;
      }
      to[i] = u;
    });
    const auto scale = static_cast<float>(1 / (norm_of(to, range) + kMuonEpsilon));
    for_range(range, [=](int64_t i) CONVOY_INLINE { to[i] *= scale; });
  }

  void muon(const UpdateBuffers& buffers, const float* direction, const UpdateRange& range, const MuonOptions& options,
            const UpdateControl& control, Stream& stream) override {
    if (skips(control)) return;
    float* value = buffers.value;
    const double norm = options.renormalizes ? norm_of(value, range) : 0;
    const double scale = norm > 0 ? std::sqrt(double(range.rows)) / norm : 1;
    const auto keep = static_cast<float>(scale * share_kept(range, control));
    const float rate = control.scalars->learning_rate * range.learning_rate_scale;
    const float* const update = direction - range.begin;
    for_range(range, [=](int64_t i) CONVOY_INLINE { value[i] = keep * value[i] - rate * update[i]; });
    write_shadow(buffers, range, stream);
  }

  void combine(float* to, float a, const float* x, float b, int64_t elements, Stream&) override {
    for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { to[i] = a * x[i] + b * to[i]; });
  }

  void move_average(float* average, const float* value, int64_t elements, float share, const UpdateControl& control,
                    Stream&) override {
    if (skips(control)) return;
    for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { average[i] += share * (value[i] - average[i]); });
  }

  void swap(float* a, float* b, int64_t elements, Stream&) override {
    for_range({0, elements}, [=](int64_t i) CONVOY_INLINE { std::swap(a[i], b[i]); });
  }

  void update_state(float* state, const float* sum, int64_t elements, float momentum, const UpdateControl& control,
                    Stream&) override {
    if (skips(control)) return;
    const float share = control.scalars->one_over_micro_batches;
    for (int64_t i = 0; i < elements; ++i) state[i] = (1 - momentum) * state[i] + momentum * (sum[i] * share);
  }

  void update_loss_scale(LossScale* loss_scale, const float* control, const LossScaleOptions& options,
                         Stream&) override {
    if (control[kOverflow] > 0 || control[kNonFinite] > 0) {
      *loss_scale = {std::max(loss_scale->scale / 2, options.smallest), 0};
    } else if (++loss_scale->good_steps >= static_cast<float>(options.grow_every)) {
      *loss_scale = {std::min(loss_scale->scale * 2, options.largest), 0};
    }
  }

 private:
  // √Σ element(i)², summed in f64 in an order that depends on nothing but how many there are.
  template <class Element>
  double norm_of(const UpdateRange& range, Element element) const {
    constexpr int64_t kBlock = 1 << 14;
    const int64_t elements = range.end - range.begin;
    std::vector<double> sums(static_cast<size_t>((elements + kBlock - 1) / kBlock));
    parallel_for(static_cast<int64_t>(sums.size()), 1, [=, this, &sums](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kBlock, last = std::min(first + kBlock, elements);
        sums[static_cast<size_t>(block)] = sum_of_squares(range.begin + first, range.begin + last, element);
      }
    });
    double sum = 0;
    for (double of_block : sums) sum += of_block;
    return std::sqrt(sum);
  }

  // 16 sums side by side, so that all levels add in one order.
  template <class Element>
  double sum_of_squares(int64_t begin, int64_t end, Element element) const {
    constexpr int64_t kLanes = 16;
    double lanes[kLanes] = {};
    double* const sums = lanes;
    simd(
        [=]() CONVOY_INLINE {
          int64_t i = begin;
          for (; i + kLanes <= end; i += kLanes) {
            for (int64_t k = 0; k < kLanes; ++k) sums[k] += double{element(i + k)} * double{element(i + k)};
          }
          for (int64_t k = 0; i + k < end; ++k) sums[k] += double{element(i + k)} * double{element(i + k)};
        },
        level_);
    double sum = 0;
    for (double lane : lanes) sum += lane;
    return sum;
  }

  double norm_of(const float* values, const UpdateRange& range) const {
    return norm_of(range, [=](int64_t i) CONVOY_INLINE { return values[i]; });
  }

  // The share of a value that decoupled decay leaves.
  static double share_kept(const UpdateRange& range, const UpdateControl& control) {
    return 1 - double{control.scalars->learning_rate} * range.learning_rate_scale * range.weight_decay;
  }

  void write_shadow(const UpdateBuffers& buffers, const UpdateRange& range, Stream& stream) {
    if (buffers.shadow == nullptr) return;
    convert(static_cast<std::byte*>(buffers.shadow) + range.begin * size_of(buffers.shadow_dtype), buffers.shadow_dtype,
            buffers.value + range.begin, Dtype::kF32, range.end - range.begin, stream);
  }

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
