// The kernels of batch_norm on the GPU.
//
// Sums of the blocks ("parts") go through memory to a small kernel that merges them per channel and leaves what the
// next pass over memory needs.  What the forward and the backward pass both compute is written with fmaf(), so that it
// is the same bits in both: the relu is taken from x once more, which costs no memory at all.  Where a second input was
// added that is not possible, and forward leaves a mask of one bit an element.
#pragma once

#include "layers/batch_norm_ranks.h"
#include "layers/batch_norm_tiles_cuda.cuh"

namespace convoy::batch_norm {

// y = (x - mean) · scale + shift.  shift has what is missing of the mean: one f32 is too coarse where the deviation is
// far smaller.
struct alignas(16) Normalizer {
  float mean, scale, shift, one_over_std;
};

// dx = dy · scale + (x - mean) · a + b.
struct Correction {
  float a, b;
};

// Where normalisers come from: from the table that training keeps, or (null) from running statistics.
struct NormalizerSource {
  const Normalizer* kept;
  const float *mean, *variance;
  const float *weight, *bias;  // null: 1, 0
  float epsilon;

  __device__ float weight_of(int64_t channel) const { return weight == nullptr ? 1.0F : weight[channel]; }
  __device__ float bias_of(int64_t channel) const { return bias == nullptr ? 0.0F : bias[channel]; }
};

__device__ inline Normalizer normalizer(float mean, float rest, float one_over_std, float weight, float bias) {
  const float scale = weight * one_over_std;
  return {mean, scale, fmaf(-rest, scale, bias), one_over_std};
}

__device__ inline Normalizer normalizer(const NormalizerSource& of, int64_t channel) {
  if (of.kept != nullptr) return of.kept[channel];
  const float one_over_std = 1 / sqrtf(of.variance[channel] + of.epsilon);
  return normalizer(of.mean[channel], 0, one_over_std, of.weight_of(channel), of.bias_of(channel));
}

__device__ inline float normalized(float x, const Normalizer& by) { return fmaf(x - by.mean, by.scale, by.shift); }

// ---- Merging

// In double: so plain sums are as good as any.
struct Totals {
  double first, second;
};
__device__ inline void merge(Totals& into, const Totals& other) {
  into.first += other.first;
  into.second += other.second;
}

constexpr int kMergeLanes = 8;  // channels of a block
__device__ inline int64_t merged_channel() { return int64_t{blockIdx.x} * kMergeLanes + threadIdx.x % kMergeLanes; }

// The sum of term(part, its first sum, its second) over `count` parts of the thread's channel, in the first row of
// threads.  All threads take part.
template <class Term>
__device__ Totals merge_parts(const float* parts, int64_t count, int64_t channels, const Term& term) {
  struct Part {
    float first, second;
  };
  const int64_t channel = merged_channel(), row = threadIdx.x / kMergeLanes, rows = blockDim.x / kMergeLanes;
  Totals totals{};
  for_rows<4>(
      row, rows, channel < channels ? static_cast<int>((count + rows - 1 - row) / rows) : 0,
      [=](int64_t part) {
        const float* from = parts + 2 * part * channels + channel;
        return Part{from[0], from[channels]};
      },
      [&](const Part& part, int64_t index) { merge(totals, term(index, part.first, part.second)); });
  merge_rows<kMergeLanes>(totals, kMergeLanes);
  return totals;
}

// ---- Forward

// The moments of a thread's rows, means less the first sample of the channel.  Samples are summed less the thread's
// own first: so one pass is as good as two.
template <class T, int N>
__device__ Moments<N> moments_of_share(const T* x, const Share<N>& share) {
  Moments<N> m{};
  if (share.count == 0) return m;
  m.count = static_cast<float>(share.count);
  float shift[N];
  const Pack<T, N> first = load<N>(x, share.first), origin = load<N>(x, share.channel);
  for (int i = 0; i < N; ++i) shift[i] = to_float(first.at[i]);
  for_rows<kAtOnce<T, N, 1>>(
      share.first, share.step, share.count, [=](int64_t at) { return load<N>(x, at); },
      [&](const Pack<T, N>& row, int64_t) {
        for (int i = 0; i < N; ++i) {
          const float d = to_float(row.at[i]) - shift[i];
          m.mean[i] += d;
          m.squares[i] += d * d;
        }
      });
  for (int i = 0; i < N; ++i) {
    const float mean = m.mean[i] / m.count, squares = m.squares[i] - mean * m.mean[i];
    m.mean[i] = shift[i] - to_float(origin.at[i]) + mean;
    m.squares[i] = squares < 0 ? 0 : squares;  // NaN stays NaN
  }
  return m;
}

// parts [gridDim.y][2][channels] = mean - first sample | Σ (x - mean)² of the part.
template <class T, int N>
__global__ void __launch_bounds__(1024)
    add_statistics(const T* __restrict__ x, Tiling tiling, float* __restrict__ parts) {
  const Share<N> share(tiling);
  Moments<N> m = moments_of_share<T, N>(x, share);
  merge_rows<kMostLanes<N>>(m, tiling.lanes);
  if (!share.leads) return;
  float* to = parts + 2 * blockIdx.y * tiling.channels + share.channel;
  for (int i = 0; i < N; ++i) to[i] = m.mean[i];
  for (int i = 0; i < N; ++i) to[tiling.channels + i] = m.squares[i];
}

// What the statistics of a channel are needed for.
struct StatisticsUse {
  NormalizerSource from;
  Normalizer* to;
  float* rests;
  float *batch_mean, *batch_variance;

  // Writes the channel's normaliser and the rest of its mean; adds to batch_state.
  __device__ void take(int64_t c, double mean, double variance, double samples) const {
    const auto high = static_cast<float>(mean), rest = static_cast<float>(mean - high);
    const auto one_over_std = static_cast<float>(1 / sqrt(variance + from.epsilon));
    rests[c] = rest;
    to[c] = normalizer(high, rest, one_over_std, from.weight_of(c), from.bias_of(c));
    batch_mean[c] += high;
    batch_variance[c] += static_cast<float>(variance * (samples > 1 ? samples / (samples - 1) : 1));
  }
};

// Of a thread for each channel.
__device__ inline int64_t thread_channel() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

// Merges parts.  Where ranks share statistics, tells them this rank's (`gathered` is not null), else uses them.
template <class T>
__global__ void __launch_bounds__(1024)
    use_statistics(const T* __restrict__ x, Tiling tiling, const float* __restrict__ parts, int64_t count,
                   StatisticsUse use, RankMoments* gathered, int64_t ranks) {
  const Totals totals = merge_parts(parts, count, tiling.channels, [=](int64_t part, double mean, double squares) {
    const auto samples = static_cast<double>(rows_of_part(tiling, part, count));
    return Totals{samples * mean, squares + samples * mean * mean};
  });
  const int64_t c = merged_channel();
  if (threadIdx.x >= kMergeLanes || c >= tiling.channels) return;
  const auto samples = static_cast<double>(tiling.rows);
  const double left = totals.first / samples, mean = to_float(x[c]) + left;
  const double difference = totals.second - totals.first * left, squares = difference < 0 ? 0 : difference;
  if (gathered == nullptr) return use.take(c, mean, squares / samples, samples);
  const auto high = static_cast<float>(mean), rest = static_cast<float>(mean - high);
  tell(gathered, ranks, tiling.channels, c, RankMoments{high, rest, static_cast<float>(squares)});
}

static __global__ void __launch_bounds__(1024)
    use_gathered_statistics(Tiling tiling, StatisticsUse use, const RankMoments* __restrict__ gathered, int64_t ranks) {
  const int64_t c = thread_channel();
  if (c >= tiling.channels) return;
  const auto samples = static_cast<double>(tiling.rows), all_samples = samples * static_cast<double>(ranks);
  const auto [mean, squares] = merge(gathered, ranks, tiling.channels, c, samples);
  use.take(c, mean, squares / all_samples, all_samples);
}

// The same from running statistics.
static __global__ void __launch_bounds__(1024)
    use_running(int64_t channels, NormalizerSource from, Normalizer* __restrict__ to, float* __restrict__ rests) {
  const int64_t c = thread_channel();
  if (c >= channels) return;
  rests[c] = 0;
  to[c] = normalizer(from, c);
}

// y, and (kMask) the mask of what is above zero: a byte for each pack, bit i for element i.
template <class T, int N, bool kAdd, bool kRelu, bool kMask>
__global__ void __launch_bounds__(1024)
    normalize(const T* __restrict__ x, const T* __restrict__ added, Tiling tiling, NormalizerSource from,
              T* __restrict__ y, uint8_t* __restrict__ mask) {
  struct Row {
    Pack<T, N> x, added;
  };
  const Share<N> share(tiling);
  if (share.count == 0) return;
  Normalizer by[N];
  for (int i = 0; i < N; ++i) by[i] = normalizer(from, share.channel + i);
  // Back to front: the end of x is what the caches still have.
  for_rows<kAtOnce<T, N, kAdd ? 2 : 1>>(
      share.first + (share.count - 1) * share.step, -share.step, share.count,
      [=](int64_t at) {
        return Row{load<N>(x, at), kAdd ? load<N>(added, at) : Pack<T, N>{}};
      },
      [&](const Row& row, int64_t at) {
        Pack<T, N> to;
        unsigned positive = 0;
        for (int i = 0; i < N; ++i) {
          float value = normalized(to_float(row.x.at[i]), by[i]);
          if (kAdd) value += to_float(row.added.at[i]);
          if (value > 0) positive |= 1U << i;
          if (kRelu && value <= 0) value = 0;  // NaN stays NaN
          to.at[i] = from_float<T>(value);
        }
        store(y, at, to);
        if (kMask) mask[at / N] = static_cast<uint8_t>(positive);
      });
}

// ---- Backward

// How dy comes behind the relu: there is none; by x; by the mask that forward left.
enum class Gate : uint8_t { kNone, kX, kMask };

// What a backward pass reads of one pack.
template <class T, int N>
struct GradientRow {
  Pack<T, N> x, dy;
  unsigned mask;
};

template <Gate kGate, int N, class T>
__device__ GradientRow<T, N> load_gradient(const T* x, const T* dy, const uint8_t* mask, int64_t at) {
  return {load<N>(x, at), load<N>(dy, at), kGate == Gate::kMask ? mask[at / N] : 0U};
}

template <Gate kGate, class T, int N>
__device__ T behind_relu(const GradientRow<T, N>& row, int i, const Normalizer& by) {
  const bool open = kGate == Gate::kNone   ? true
                    : kGate == Gate::kMask ? (row.mask >> i & 1U) != 0
                                           : normalized(to_float(row.x.at[i]), by) > 0;
  return open ? row.dy.at[i] : T{};
}

// parts [gridDim.y][2][channels] = Σ dy | Σ dy · (x - mean), dy being behind the relu; kKeep: it is also written to
// `kept`.
template <class T, int N, Gate kGate, bool kKeep>
__global__ void __launch_bounds__(1024)
    add_gradients(const T* __restrict__ x, const T* __restrict__ dy, const uint8_t* __restrict__ mask, Tiling tiling,
                  const Normalizer* __restrict__ from, T* __restrict__ kept, float* __restrict__ parts) {
  const Share<N> share(tiling);
  GradientSums<N> sums{};
  Normalizer by[N];
  for (int i = 0; i < N; ++i) by[i] = share.count > 0 ? from[share.channel + i] : Normalizer{};
  for_rows<kAtOnce<T, N, 2>>(
      share.first, share.step, share.count, [=](int64_t at) { return load_gradient<kGate, N>(x, dy, mask, at); },
      [&](const GradientRow<T, N>& row, int64_t at) {
        Pack<T, N> g;
        for (int i = 0; i < N; ++i) {
          g.at[i] = behind_relu<kGate>(row, i, by[i]);
          const float value = to_float(g.at[i]);
          sums.sum[i] += value;
          sums.product[i] = fmaf(value, to_float(row.x.at[i]) - by[i].mean, sums.product[i]);
        }
        if (kKeep) store(kept, at, g);
      });
  merge_rows<kMostLanes<N>>(sums, tiling.lanes);
  if (!share.leads) return;
  float* to = parts + 2 * blockIdx.y * tiling.channels + share.channel;
  for (int i = 0; i < N; ++i) to[i] = sums.sum[i];
  for (int i = 0; i < N; ++i) to[tiling.channels + i] = sums.product[i];
}

// Of a channel, `rest` being that of its mean.
__device__ inline double weight_gradient(const Normalizer& by, float rest, double sum, double product) {
  return (product - rest * sum) * by.one_over_std;
}
__device__ inline Correction correction(const Normalizer& by, float rest, double sum, double product, double samples) {
  const double a = -by.scale * weight_gradient(by, rest, sum, product) * by.one_over_std / samples;
  return {static_cast<float>(a), static_cast<float>(-by.scale * sum / samples - a * rest)};
}

// Writes dweight and dbias where they are not null, and a channel's correction (0 where statistics do not depend on x);
// where ranks share statistics, tells them this rank's sums instead (`gathered` is not null).
static __global__ void __launch_bounds__(1024)
    use_gradients(Tiling tiling, const float* __restrict__ parts, int64_t count, const Normalizer* __restrict__ from,
                  const float* __restrict__ rests, bool of_batch, Correction* __restrict__ to, float* dweight,
                  float* dbias, RankGradients* gathered, int64_t ranks) {
  const Totals totals = merge_parts(parts, count, tiling.channels, [](int64_t, double sum, double product) {
    return Totals{sum, product};
  });
  const int64_t c = merged_channel();
  if (threadIdx.x >= kMergeLanes || c >= tiling.channels) return;
  const auto [sum, product] = totals;
  const Normalizer by = from[c];
  if (dweight != nullptr) dweight[c] = static_cast<float>(weight_gradient(by, rests[c], sum, product));
  if (dbias != nullptr) dbias[c] = static_cast<float>(sum);
  if (gathered != nullptr) {
    const RankGradients mine{static_cast<float>(sum), static_cast<float>(product)};
    return tell(gathered, ranks, tiling.channels, c, mine);
  }
  to[c] = {};
  if (of_batch) to[c] = correction(by, rests[c], sum, product, static_cast<double>(tiling.rows));
}

static __global__ void __launch_bounds__(1024)
    use_gathered_gradients(Tiling tiling, const Normalizer* __restrict__ from, const float* __restrict__ rests,
                           Correction* __restrict__ to, const RankGradients* __restrict__ gathered, int64_t ranks) {
  const int64_t c = thread_channel();
  if (c >= tiling.channels) return;
  const auto [sum, product] = merge(gathered, ranks, tiling.channels, c);
  to[c] = correction(from[c], rests[c], sum, product, static_cast<double>(tiling.rows * ranks));
}

template <class T, int N, Gate kGate>
__global__ void __launch_bounds__(1024)
    input_gradient(const T* __restrict__ x, const T* __restrict__ dy, const uint8_t* __restrict__ mask, Tiling tiling,
                   const Normalizer* __restrict__ from, const Correction* __restrict__ corrections,
                   T* __restrict__ dx) {
  const Share<N> share(tiling);
  if (share.count == 0) return;
  Normalizer by[N];
  Correction correction[N];
  for (int i = 0; i < N; ++i) by[i] = from[share.channel + i];
  for (int i = 0; i < N; ++i) correction[i] = corrections[share.channel + i];
  // Back to front: the ends of x and dy are what the caches still have.
  for_rows<kAtOnce<T, N, 2>>(
      share.first + (share.count - 1) * share.step, -share.step, share.count,
      [=](int64_t at) { return load_gradient<kGate, N>(x, dy, mask, at); },
      [&](const GradientRow<T, N>& row, int64_t at) {
        Pack<T, N> to;
        for (int i = 0; i < N; ++i) {
          const float g = to_float(behind_relu<kGate>(row, i, by[i]));
          const float centred = to_float(row.x.at[i]) - by[i].mean;
          to.at[i] = from_float<T>(fmaf(g, by[i].scale, centred * correction[i].a) + correction[i].b);
        }
        store(dx, at, to);
      });
}

}  // namespace convoy::batch_norm
