// Sums over rows.  A block adds up the rows of one group for a tile of channels: neighbouring threads take neighbouring
// packs of channels, the others further rows; each thread adds its rows in order, then the threads of a channel are
// added in order.
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostThreads = 256;
constexpr unsigned kAllLanes = 0xffffffffU;

// y[g][c] = scale · Σ x[row][c] over the rows [g · group_rows, (g + 1) · group_rows); see column_sums_cuda().
template <class T, class Y>
struct Sums {
  const T *x, *gate;
  T* masked;
  Y* y;
  int64_t rows, group_rows, channels;
  float scale;
};

// x of one pack, zero where the gate is closed.
template <int N, class T, class Y>
__device__ Pack<T, N> gated(const Sums<T, Y>& it, int64_t at) {
  Pack<T, N> pack = load<N>(it.x + at);
  if (it.gate == nullptr) return pack;
  const Pack<T, N> gate = load<N>(it.gate + at);
  for (int k = 0; k < N; ++k) pack.at[k] = to_float(gate.at[k]) > 0 ? pack.at[k] : T{};
  if (it.masked != nullptr) store(it.masked + at, pack);
  return pack;
}

// `lanes` threads, a power of two up to a warp, side by side on a row; blocks: the tiles of a group, group by group.
template <int N, class T, class Y>
__global__ void __launch_bounds__(kMostThreads) sum_kernel(Sums<T, Y> it, int lanes, int tiles) {
  __shared__ float partial[kMostThreads * N];  // [warp, channel of the tile]
  const int64_t group = blockIdx.x / tiles, tile = blockIdx.x % tiles;
  const int lane = static_cast<int>(threadIdx.x) % lanes, width = lanes * N;
  const int64_t column = tile * width + lane * N;
  const int64_t end = std::min((group + 1) * it.group_rows, it.rows);
  float sum[N] = {};
  if (column < it.channels) {
    for (int64_t row = group * it.group_rows + threadIdx.x / lanes; row < end; row += blockDim.x / lanes) {
      const Pack<T, N> pack = gated<N>(it, row * it.channels + column);
      for (int k = 0; k < N; ++k) sum[k] += to_float(pack.at[k]);
    }
  }
  for (float& x : sum) {
    for (int apart = lanes; apart < kWarp; apart *= 2) x += __shfl_xor_sync(kAllLanes, x, apart);
  }
  const int warp = static_cast<int>(threadIdx.x) / kWarp, warps = static_cast<int>(blockDim.x) / kWarp;
  if (static_cast<int>(threadIdx.x) % kWarp < lanes) {
    for (int k = 0; k < N; ++k) partial[warp * width + lane * N + k] = sum[k];
  }
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < width && tile * width + c < it.channels; c += blockDim.x) {
    float total = 0;
    for (int w = 0; w < warps; ++w) total += partial[w * width + c];
    it.y[group * it.channels + tile * width + c] = from_float<Y>(total * it.scale);
  }
}

template <int N, class T, class Y>
void launch_sums(const Sums<T, Y>& it, Stream& stream) {
  const int64_t packs = it.channels / N, groups = (it.rows + it.group_rows - 1) / it.group_rows;
  int lanes = 1;
  while (lanes < packs && lanes < kWarp) lanes *= 2;
  const int64_t tiles = (packs + lanes - 1) / lanes;
  launch(sum_kernel<N, T, Y>, static_cast<unsigned>(groups * tiles), std::min(block_threads(), kMostThreads), stream,
         it, lanes, tiles);
}

template <class T, class Y>
void sum_groups(const Sums<T, Y>& it, Stream& stream) {
  if (packs<T>(it.channels, it.x, it.gate, it.masked)) {
    launch_sums<kPack<T>>(it, stream);
  } else {
    launch_sums<1>(it, stream);
  }
}

// Groups that fill a card, none of them tiny.
int64_t column_groups(int64_t rows) {
  constexpr int64_t kMostGroups = 256, kFewestRows = 64;
  return std::clamp<int64_t>(rows / kFewestRows, 1, kMostGroups);
}

}  // namespace

int64_t column_sums_workspace(int64_t rows, int64_t channels) {
  const int64_t groups = column_groups(rows);
  return groups == 1 ? 0 : groups * channels * size_of(Dtype::kF32);
}

void column_sums_cuda(Dtype dtype, int64_t rows, int64_t channels, const void* dy, const void* gate, void* masked,
                      float* sums, void* workspace, Stream& stream) {
  const int64_t most = column_groups(rows), group_rows = (rows + most - 1) / most;
  const int64_t groups = (rows + group_rows - 1) / group_rows;
  float* const partial = groups == 1 ? sums : static_cast<float*>(workspace);  // [groups, channels]
  with_elements_cuda(dtype, [&](auto zero) {
    using T = decltype(zero);
    sum_groups<T, float>({static_cast<const T*>(dy), static_cast<const T*>(gate), static_cast<T*>(masked), partial,
                          rows, group_rows, channels, 1},
                         stream);
  });
  if (groups == 1) return;
  sum_groups<float, float>({partial, nullptr, nullptr, sums, groups, groups, channels, 1}, stream);
}

void row_means_cuda(Dtype dtype, int64_t groups, int64_t rows, int64_t channels, const void* x, void* means,
                    Stream& stream) {
  with_elements_cuda(dtype, [&](auto zero) {
    using T = decltype(zero);
    sum_groups<T, T>({static_cast<const T*>(x), nullptr, nullptr, static_cast<T*>(means), groups * rows, rows, channels,
                      1.0F / static_cast<float>(rows)},
                     stream);
  });
}

}  // namespace convoy
