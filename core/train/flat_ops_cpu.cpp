#include <algorithm>
#include <atomic>
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
    parallel_for(elements, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) narrow(to, to_dtype, i, widen(from, from_dtype, i));
    });
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
    const auto step = static_cast<double>(options.steps_before + control.scalars->step + 1);
    const double correction1 = 1 - std::pow(static_cast<double>(options.beta1), step);
    const double correction2 = 1 - std::pow(static_cast<double>(options.beta2), step);
    const auto rate =
        static_cast<float>(double{control.scalars->learning_rate} * range.learning_rate_scale / correction1);
    const auto root = static_cast<float>(1 / std::sqrt(correction2));
    const float b1 = options.beta1, b2 = options.beta2, epsilon = options.epsilon;
    const float decay = options.decoupled ? 0 : range.weight_decay;
    const float keep = options.decoupled ? kept(range, control) : 1;
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

  void clip_norm(const float* gradient, int64_t elements, const LossScale* loss_scale, float largest, float* control,
                 float* clip, Stream&) override {
    constexpr int64_t kBlock = 1 << 14;
    std::vector<double> sums(static_cast<size_t>((elements + kBlock - 1) / kBlock));
    parallel_for(static_cast<int64_t>(sums.size()), 1, [=, this, &sums](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kBlock, last = std::min(first + kBlock, elements);
        sums[static_cast<size_t>(block)] = sum_of_squares(gradient + first, last - first);
      }
    });
    double sum = 0;
    for (double of_block : sums) sum += of_block;
    const double norm = std::sqrt(sum) / double{loss_scale->scale};
    control[kGradientNorm] = static_cast<float>(norm);
    *clip = static_cast<float>(std::min(1.0, double{largest} / (norm + 1e-6)));
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
  // 16 sums side by side, so that all levels add in one order.
  double sum_of_squares(const float* from, int64_t elements) const {
    constexpr int64_t kLanes = 16;
    double lanes[kLanes] = {};
    double* const sums = lanes;
    simd(
        [=]() CONVOY_INLINE {
          int64_t i = 0;
          for (; i + kLanes <= elements; i += kLanes) {
            for (int64_t k = 0; k < kLanes; ++k) sums[k] += double{from[i + k]} * double{from[i + k]};
          }
          for (int64_t k = 0; i + k < elements; ++k) sums[k] += double{from[i + k]} * double{from[i + k]};
        },
        level_);
    double sum = 0;
    for (double lane : lanes) sum += lane;
    return sum;
  }

  // The share of a value that decoupled decay leaves.
  static float kept(const UpdateRange& range, const UpdateControl& control) {
    return static_cast<float>(1 -
                              double{control.scalars->learning_rate} * range.learning_rate_scale * range.weight_decay);
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
