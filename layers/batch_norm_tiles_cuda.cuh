// How the threads of the GPU share a tensor [rows, channels] whose channels are to be summed over the rows, and how
// their sums become one.
//
// A thread walks down N neighbouring channels; `lanes` threads side by side take a tile of 128 bytes or less, and the
// rows go round the rows of threads of all blocks (blockIdx.y) of a tile (blockIdx.x): so all of them sweep over memory
// together, front to back, or back to front.
#pragma once

#include <array>
#include <bit>

#include "layers/kernel_cuda.h"

namespace convoy::batch_norm {

struct Tiling {
  int64_t rows, channels;
  int lanes;  // a power of 2
};

// The part of a thread, in elements: the first of N in its `count` rows, from `first` on and `step` apart.
template <int N>
struct Share {
  __device__ explicit Share(const Tiling& tiling) {
    const int64_t rows = blockDim.x / tiling.lanes, all_rows = rows * gridDim.y;
    const int64_t row = rows * blockIdx.y + threadIdx.x / tiling.lanes;
    channel = (int64_t{blockIdx.x} * tiling.lanes + threadIdx.x % tiling.lanes) * N;
    count = channel < tiling.channels ? static_cast<int>((tiling.rows + all_rows - 1 - row) / all_rows) : 0;
    first = row * tiling.channels + channel;
    step = all_rows * tiling.channels;
    leads = static_cast<int>(threadIdx.x) < tiling.lanes && channel < tiling.channels;
  }
  int64_t channel, first, step;
  int count;
  bool leads;  // this thread has what merge_rows() leaves of its channels
};

// How many rows the blocks blockIdx.y == part of a kernel over `tiling` have, blocks being as large as this one.
__device__ inline int64_t rows_of_part(const Tiling& tiling, int64_t part, int64_t parts) {
  const int64_t at_once = blockDim.x / tiling.lanes, whole = tiling.rows / at_once;
  const int64_t rest = whole % parts == part ? tiling.rows % at_once : 0;
  return (whole + parts - 1 - part) / parts * at_once + rest;
}

template <int N, class T>
__device__ Pack<T, N> load(const T* memory, int64_t element) {
  return *reinterpret_cast<const Pack<T, N>*>(memory + element);
}
template <int N, class T>
__device__ void store(T* memory, int64_t element, const Pack<T, N>& pack) {
  if constexpr (sizeof(pack) == 16) return store_16_bytes(memory + element, &pack);
  *reinterpret_cast<Pack<T, N>*>(memory + element) = pack;
}

// Rows that a thread reads before it uses the first: 64 bytes, which keeps memory busy.
template <class T, int N, int kTensors>
inline constexpr int kAtOnce = std::min(4, 64 / (N * kTensors * static_cast<int>(sizeof(T))));

// Calls use(load(at), at) for count values of `at`; loads kRows before the first is used.
template <int kRows, class Load, class Use>
__device__ void for_rows(int64_t at, int64_t step, int count, const Load& load, const Use& use) {
  for (; count >= kRows; count -= kRows, at += kRows * step) {
    decltype(load(at)) loaded[kRows];
    for (int i = 0; i < kRows; ++i) loaded[i] = load(at + i * step);
    for (int i = 0; i < kRows; ++i) use(loaded[i], at + i * step);
  }
  for (; count > 0; --count, at += step) use(load(at), at);
}

// ---- Sums

// Of `count` samples of N channels: their mean, and Σ (x - mean)².
template <int N>
struct Moments {
  float count, mean[N], squares[N];
};

// Chan, Golub & LeVeque 1979: no term is larger than the sum.
template <int N>
__device__ void merge(Moments<N>& into, const Moments<N>& other) {
  const float count = into.count + other.count;
  const float share = count > 0 ? other.count / count : 0;
  for (int i = 0; i < N; ++i) {
    const float between = other.mean[i] - into.mean[i];
    into.mean[i] += between * share;
    into.squares[i] += other.squares[i] + between * between * into.count * share;
  }
  into.count = count;
}

// Σ dy and Σ dy · (x - mean), dy being behind the relu.
template <int N>
struct GradientSums {
  float sum[N], product[N];
};

template <int N>
__device__ void merge(GradientSums<N>& into, const GradientSums<N>& other) {
  for (int i = 0; i < N; ++i) into.sum[i] += other.sum[i];
  for (int i = 0; i < N; ++i) into.product[i] += other.product[i];
}

template <class Sums>
__device__ Sums of_lane_above(const Sums& sums, int lanes) {
  auto words = std::bit_cast<std::array<uint32_t, sizeof(Sums) / sizeof(uint32_t)>>(sums);
  for (uint32_t& word : words) word = __shfl_down_sync(0xffffffffU, word, lanes);
  return std::bit_cast<Sums>(words);
}

// Merges the sums of all rows of threads into those of the first row, in an order that depends on the block alone.
// All threads take part.  Requires: lanes <= kMostLanes.
template <int kMostLanes, class Sums>
__device__ void merge_rows(Sums& sums, int lanes) {
  __shared__ Sums of_warps[kWarp][kMostLanes];
  for (int down = lanes; down < kWarp; down *= 2) merge(sums, of_lane_above(sums, down));
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  if (lane < lanes) of_warps[warp][lane] = sums;
  __syncthreads();
  if (warp > 0 || lane >= lanes) return;
  for (int i = 1; i < static_cast<int>(blockDim.x) / kWarp; ++i) merge(sums, of_warps[i][lane]);
}

template <int N>
inline constexpr int kMostLanes = N == 1 ? 32 : 8;

}  // namespace convoy::batch_norm
