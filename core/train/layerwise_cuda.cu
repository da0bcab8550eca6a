// Updates that look at a tensor as a whole: LARS, LAMB and what Muon does beside products of matrices.  Compiled
// without fused multiply-adds, as flat_ops_cuda.cu.
#include "core/device/copy_cuda.h"
#include "core/train/updates_cuda.cuh"

namespace convoy {
namespace {

// ---- LARS

struct LarsNorms {
  static constexpr int kCount = 2;
  Update<float> update;
  LarsOptions options;

  __device__ void start() { update.start(1); }
  __device__ void at(int64_t i, float (&terms)[kCount]) const {
    terms[0] = update.value[i];
    terms[1] = update.clipped(update.gradient[i]);
  }
  __device__ double finish(const double (&norms)[kCount]) const {
    const auto [w, g] = norms;
    if (!(w > 0 && g > 0)) return 1;
    return static_cast<double>(options.trust) * w /
           (g + static_cast<double>(update.decay) * w + static_cast<double>(options.epsilon));
  }
};

template <class S>
struct Lars {
  Update<S> update;
  float* velocity;
  float learning_rate_scale, momentum;
  const double* local;  // null: 1

  __device__ bool start() {
    if (!update.start(learning_rate_scale)) return false;
    update.rate = static_cast<float>(update.rate_in_double(learning_rate_scale) * (local == nullptr ? 1 : *local));
    return true;
  }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> w = load<N>(update.value + i), v = load<N>(velocity + i);
    const Pack<float, N> g = update.decayed(i, w);
    for (int k = 0; k < N; ++k) {
      v.at[k] = momentum * v.at[k] + update.rate * g.at[k];
      w.at[k] -= v.at[k];
    }
    store(velocity + i, v);
    update.write(i, w);
  }
};

// ---- LAMB

template <class S>
struct LambMoments {
  Update<S> update;
  float *mean, *variance;
  AdamOptions options;

  __device__ bool start() { return update.start(1); }
  template <int N>
  __device__ void run(int64_t i) const {
    const float b1 = options.beta1, b2 = options.beta2;
    Pack<float, N> m = load<N>(mean + i), v = load<N>(variance + i);
    const Pack<float, N> from = load<N>(update.gradient + i);
    for (int k = 0; k < N; ++k) {
      const float g = update.clipped(from.at[k]);
      m.at[k] = b1 * m.at[k] + (1 - b1) * g;
      v.at[k] = b2 * v.at[k] + (1 - b2) * g * g;
    }
    store(mean + i, m);
    store(variance + i, v);
  }
};

// r of a value with mean m and variance v.
struct LambDirection {
  AdamOptions options;
  UpdateControl control;
  float decay;

  float scale = 0, root = 0;

  __device__ void start() {
    __shared__ float shared[2];
    if (threadIdx.x == 0) {
      const Correction correction = correction_of(options, control);
      shared[0] = static_cast<float>(1 / correction.mean);
      shared[1] = static_cast<float>(1 / sqrt(correction.variance));
    }
    __syncthreads();
    scale = shared[0];
    root = shared[1];
  }
  __device__ float operator()(float w, float m, float v) const {
    return m * scale / (sqrtf(v) * root + options.epsilon) + decay * w;
  }
};

struct LambNorms {
  static constexpr int kCount = 2;
  const float *value, *mean, *variance;
  LambDirection direction;

  __device__ void start() { direction.start(); }
  __device__ void at(int64_t i, float (&terms)[kCount]) const {
    terms[0] = value[i];
    terms[1] = direction(value[i], mean[i], variance[i]);
  }
  __device__ double finish(const double (&norms)[kCount]) const {
    const auto [w, r] = norms;
    return w > 0 && r > 0 ? w / r : 1;
  }
};

template <class S>
struct Lamb {
  Update<S> update;
  const float *mean, *variance;
  LambDirection direction;
  float learning_rate_scale;
  const double* ratio;  // null: 1

  __device__ bool start() {
    if (!update.start(learning_rate_scale)) return false;
    update.rate = static_cast<float>(update.rate_in_double(learning_rate_scale) * (ratio == nullptr ? 1 : *ratio));
    direction.start();
    return true;
  }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> w = load<N>(update.value + i);
    const Pack<float, N> m = load<N>(mean + i), v = load<N>(variance + i);
    for (int k = 0; k < N; ++k) w.at[k] -= update.rate * direction(w.at[k], m.at[k], v.at[k]);
    update.write(i, w);
  }
};

// ---- Muon

struct MuonMomentum {
  Update<float> update;
  float *momentum, *direction;
  SgdOptions options;

  __device__ bool start() { return update.start(1); }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> u = load<N>(update.gradient + i);
    for (int k = 0; k < N; ++k) u.at[k] = update.clipped(u.at[k]);
    if (options.momentum != 0) {
      Pack<float, N> m = load<N>(momentum + i);
      for (int k = 0; k < N; ++k) {
        m.at[k] = options.momentum * m.at[k] + u.at[k];
        u.at[k] = options.nesterov ? u.at[k] + options.momentum * m.at[k] : m.at[k];
      }
      store(momentum + i, m);
    }
    store(direction + i, u);
  }
};

struct InverseNorm {
  static constexpr int kCount = 1;
  const float* from;

  __device__ void start() {}
  __device__ void at(int64_t i, float (&terms)[kCount]) const { terms[0] = from[i]; }
  __device__ double finish(const double (&norms)[kCount]) const { return 1 / (norms[0] + kMuonEpsilon); }
};

struct Scale {
  float* to;
  const double* scale;

  float by = 0;

  __device__ bool start() {
    by = static_cast<float>(*scale);
    return true;
  }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> pack = load<N>(to + i);
    for (float& element : pack.at) element *= by;
    store(to + i, pack);
  }
};

// What sets the norm of a filter to the root of its rows.
struct Renormalization {
  static constexpr int kCount = 1;
  const float* value;
  int rows;

  __device__ void start() {}
  __device__ void at(int64_t i, float (&terms)[kCount]) const { terms[0] = value[i]; }
  __device__ double finish(const double (&norms)[kCount]) const {
    return norms[0] > 0 ? sqrt(static_cast<double>(rows)) / norms[0] : 1;
  }
};

template <class S>
struct Muon {
  Update<S> update;
  const float* direction;
  float learning_rate_scale;
  const double* scale;  // null: 1

  float keep = 1;

  __device__ bool start() {
    if (!update.start(learning_rate_scale)) return false;
    keep = static_cast<float>((scale == nullptr ? 1 : *scale) * update.share_kept(learning_rate_scale));
    return true;
  }
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> w = load<N>(update.value + i);
    const Pack<float, N> u = load<N>(direction + i);
    for (int k = 0; k < N; ++k) w.at[k] = keep * w.at[k] - update.rate * u.at[k];
    update.write(i, w);
  }
};

// What kernels that only read gradients are given.
Update<float> reading(UpdateBuffers buffers, const UpdateRange& range, const UpdateControl& control) {
  buffers.shadow = nullptr;
  return update_of<float>(buffers, range, control);
}

}  // namespace

void lars_cuda(const UpdateBuffers& buffers, float* velocity, const UpdateRange& range, const LarsOptions& options,
               const UpdateControl& control, NormScratch* scratch, Stream& stream) {
  const int64_t elements = range.end - range.begin;
  const bool adapts = range.rows > 0;
  if (adapts) take_norms(LarsNorms{reading(buffers, range, control), options}, elements, scratch, stream);
  with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
    const auto update = update_of<decltype(zero)>(buffers, range, control);
    float* const v = velocity + range.begin;
    for_each<kN>(Lars<decltype(zero)>{update, v, range.learning_rate_scale, options.momentum,
                                      adapts ? &scratch->result : nullptr},
                 elements, aligned<kN>(update.value, update.gradient, update.shadow, v), stream);
  });
}

void lamb_cuda(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
               const AdamOptions& options, const UpdateControl& control, NormScratch* scratch, Stream& stream) {
  const int64_t elements = range.end - range.begin;
  const bool adapts = range.rows > 0;
  float *const m = mean + range.begin, *const v = variance + range.begin;
  const Update<float> read = reading(buffers, range, control);
  for_each<kN>(LambMoments<float>{read, m, v, options}, elements, aligned<kN>(read.gradient, m, v), stream);
  const LambDirection direction{options, control, range.weight_decay};
  if (adapts) take_norms(LambNorms{read.value, m, v, direction}, elements, scratch, stream);
  with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
    const auto update = update_of<decltype(zero)>(buffers, range, control);
    for_each<kN>(
        Lamb<decltype(zero)>{update, m, v, direction, range.learning_rate_scale, adapts ? &scratch->result : nullptr},
        elements, aligned<kN>(update.value, update.shadow, m, v), stream);
  });
}

void muon_direction_cuda(const UpdateBuffers& buffers, float* momentum, float* direction, const UpdateRange& range,
                         const MuonOptions& options, const UpdateControl& control, NormScratch* scratch,
                         Stream& stream) {
  const int64_t elements = range.end - range.begin;
  const Update<float> read = reading(buffers, range, control);
  float* const m = momentum == nullptr ? nullptr : momentum + range.begin;
  for_each<kN>(MuonMomentum{read, m, direction, options.sgd}, elements, aligned<kN>(read.gradient, m, direction),
               stream);
  take_norms(InverseNorm{direction}, elements, scratch, stream);
  for_each<kN>(Scale{direction, &scratch->result}, elements, aligned<kN>(direction), stream);
}

void muon_cuda(const UpdateBuffers& buffers, const float* direction, const UpdateRange& range,
               const MuonOptions& options, const UpdateControl& control, NormScratch* scratch, Stream& stream) {
  const int64_t elements = range.end - range.begin;
  if (options.renormalizes) {
    take_norms(Renormalization{buffers.value + range.begin, range.rows}, elements, scratch, stream);
  }
  with_elements_cuda(buffers.shadow_dtype, [&](auto zero) {
    const auto update = update_of<decltype(zero)>(buffers, range, control);
    for_each<kN>(Muon<decltype(zero)>{update, direction, range.learning_rate_scale,
                                      options.renormalizes ? &scratch->result : nullptr},
                 elements, aligned<kN>(update.value, update.shadow, direction), stream);
  });
}

}  // namespace convoy
