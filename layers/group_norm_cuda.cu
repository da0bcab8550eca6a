// Group and layer normalisation: layer_norm is group_norm of images of one pixel.  A team of threads, a warp or a
// block, has a group of an image: its elements are rows of `group_channels` neighbours, `channels` apart.
#include "layers/group_norm.h"

#include <cmath>

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostThreads = 256;

struct Geometry {
  int64_t images, pixels;
  int channels, groups;

  __host__ __device__ int group_channels() const { return channels / groups; }
  __host__ __device__ int64_t samples() const { return pixels * group_channels(); }
  __host__ __device__ int64_t teams() const { return images * groups; }
};

// Of a group; what forward keeps for backward.  The mean is mean + rest: one f32 is too coarse where the deviation is
// far smaller.
struct Statistics {
  float mean, rest, one_over_std;
};
__device__ float normalized(const Statistics& it, float x) { return (x - it.mean - it.rest) * it.one_over_std; }

struct Team {
  int lanes, rank;  // threads; which of them this one is
  int64_t index;    // which group of which image

  __device__ explicit Team(int size)
      : lanes(size),
        rank(static_cast<int>(threadIdx.x) % size),
        index(int64_t{blockIdx.x} * (blockDim.x / size) + threadIdx.x / size) {}

  // The sum over all threads of the team, in each of them, in a fixed order.
  __device__ float sum(float x, float* scratch) const {
    if (lanes == kWarp) return warp_sum(x);
    __syncthreads();  // the last sum has been read
    return block_sum(x, scratch);
  }
};

// Calls body(element, channel) for this thread's packs of N elements of the team's group.
template <int N, class Body>
__device__ void for_packs(const Geometry& g, const Team& team, const Body& body) {
  const int packs = g.group_channels() / N, first = static_cast<int>(team.index % g.groups) * g.group_channels();
  const int64_t start = team.index / g.groups * g.pixels * g.channels + first;
  for (int64_t i = team.rank; i < g.pixels * packs; i += team.lanes) {
    const int at = static_cast<int>(i % packs) * N;
    body(start + i / packs * g.channels + at, first + at);
  }
}

template <int N, class T>
__global__ void __launch_bounds__(kMostThreads)
    forward_kernel(Geometry g, int lanes, float epsilon, const T* x, const float* weight, const float* bias, T* y,
                   Statistics* kept) {
  __shared__ float scratch[kWarp];
  const Team team(lanes);
  if (team.index >= g.teams()) return;
  const int64_t first = team.index / g.groups * g.pixels * g.channels + team.index % g.groups * g.group_channels();
  const float shift = to_float(x[first]);  // near the mean: so the sum of what is left of x keeps its bits
  float sum = 0, squares = 0;
  for_packs<N>(g, team, [&](int64_t at, int) {
    const Pack<T, N> pack = load<N>(x + at);
    for (const T& element : pack.at) sum += to_float(element) - shift;
  });
  const float samples = static_cast<float>(g.samples()), off = team.sum(sum, scratch) / samples;
  Statistics it{shift + off, 0, 0};
  it.rest = (shift - it.mean) + off;
  for_packs<N>(g, team, [&](int64_t at, int) {
    const Pack<T, N> pack = load<N>(x + at);
    for (const T& element : pack.at) {
      const float d = to_float(element) - it.mean - it.rest;
      squares += d * d;
    }
  });
  it.one_over_std = 1 / sqrtf(team.sum(squares, scratch) / samples + epsilon);
  if (kept != nullptr && team.rank == 0) kept[team.index] = it;
  for_packs<N>(g, team, [&](int64_t at, int channel) {
    Pack<T, N> pack = load<N>(x + at);
    for (int k = 0; k < N; ++k) {
      pack.at[k] = from_float<T>(normalized(it, to_float(pack.at[k])) * weight[channel + k] + bias[channel + k]);
    }
    store(y + at, pack);
  });
}

// dx = (g - mean(g) - x̂ · mean(g · x̂)) / std with g = dy · weight, means over the group.
template <int N, class T>
__global__ void __launch_bounds__(kMostThreads)
    data_kernel(Geometry g, int lanes, const T* x, const T* dy, const float* weight, const Statistics* kept, T* dx) {
  __shared__ float scratch[kWarp];
  const Team team(lanes);
  if (team.index >= g.teams()) return;
  const Statistics it = kept[team.index];
  float sum = 0, product = 0;
  for_packs<N>(g, team, [&](int64_t at, int channel) {
    const Pack<T, N> of_x = load<N>(x + at), of_dy = load<N>(dy + at);
    for (int k = 0; k < N; ++k) {
      const float gradient = to_float(of_dy.at[k]) * weight[channel + k];
      sum += gradient;
      product += gradient * normalized(it, to_float(of_x.at[k]));
    }
  });
  const auto samples = static_cast<float>(g.samples());
  const float a = team.sum(sum, scratch) / samples, b = team.sum(product, scratch) / samples;
  for_packs<N>(g, team, [&](int64_t at, int channel) {
    const Pack<T, N> of_x = load<N>(x + at);
    Pack<T, N> pack = load<N>(dy + at);
    for (int k = 0; k < N; ++k) {
      const float gradient = to_float(pack.at[k]) * weight[channel + k];
      pack.at[k] = from_float<T>((gradient - a - normalized(it, to_float(of_x.at[k])) * b) * it.one_over_std);
    }
    store(dx + at, pack);
  });
}

// Σ dy · x̂ and Σ dy of one channel over a slice of the rows (pixels of all images): [slice, channel] each.
template <class T>
__global__ void weights_kernel(Geometry g, const T* x, const T* dy, const Statistics* kept, int slices, float* dweight,
                               float* dbias) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x, rows = g.images * g.pixels;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < int64_t{slices} * g.channels; i += stride) {
    const int64_t slice = i / g.channels, channel = i % g.channels, group = channel / g.group_channels();
    float product = 0, sum = 0;
    for (int64_t row = rows * slice / slices; row < rows * (slice + 1) / slices; ++row) {
      const float gradient = to_float(dy[row * g.channels + channel]);
      product +=
          gradient * normalized(kept[row / g.pixels * g.groups + group], to_float(x[row * g.channels + channel]));
      sum += gradient;
    }
    dweight[i] = product;
    dbias[i] = sum;
  }
}

class GroupNormCuda : public CudaKernel {
 public:
  // `shape` is x as images; `groups` of its channels.
  GroupNormCuda(const Shape& shape, int groups, float epsilon, const CompileRequest& request)
      : geometry_{shape.n, int64_t{shape.h} * shape.w, shape.c, groups}, epsilon_(epsilon) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    const bool dx = request.wants_dx[0], dw = request.wants_dw;
    if (request.mode != Mode::kTrain || !(dx || dw)) return;
    parts_ = {{"backward", dx ? std::vector{0} : std::vector<int>(), dw}};
    saved_ = {geometry_.teams() * static_cast<int64_t>(sizeof(Statistics))};
    if (!dw) return;
    // Enough threads to fill a large card.  Of the shapes alone, so that sums come out the same on all cards.
    constexpr int64_t kThreads = 1 << 17, kFewestRows = 16;
    const int64_t rows = geometry_.images * geometry_.pixels;
    slices_ =
        static_cast<int>(std::clamp<int64_t>(std::min(kThreads / geometry_.channels, rows / kFewestRows), 1, rows));
    workspace_bytes_ = 2 * slice_bytes() + column_sums_workspace(slices_, geometry_.channels);
  }
  bool backward_reads_input(int) const override { return !parts_.empty(); }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* const x = args_.x[0].as<T>();
      T* const y = args_.y.as<T>();
      auto* const kept = saved_.empty() ? nullptr : static_cast<Statistics*>(args_.saved[0]);
      const bool packed = in_packs(x, y);
      launch(packed ? forward_kernel<kPack<T>, T> : forward_kernel<1, T>, blocks(), threads(), stream, geometry_,
             lanes(), epsilon_, x, args_.w[0].as<float>(), args_.w[1].as<float>(), y, kept);
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T *const x = args_.x[0].as<T>(), *const dy = args_.dy.as<T>();
      const auto* const kept = static_cast<const Statistics*>(args_.saved[0]);
      if (parts_[0].dw) backward_weights(x, dy, kept, stream);
      if (parts_[0].dx.empty()) return;
      T* const dx = args_.dx[0].as<T>();
      const bool packed = in_packs(x, dy, dx);
      launch(packed ? data_kernel<kPack<T>, T> : data_kernel<1, T>, blocks(), threads(), stream, geometry_, lanes(), x,
             dy, args_.w[0].as<float>(), kept, dx);
    });
  }

 private:
  static int threads() { return std::min(block_threads(), kMostThreads); }
  // A warp where that reads the whole group in a few steps, else a block.
  int lanes() const {
    constexpr int64_t kMostOfAWarp = 2048;
    return geometry_.samples() <= kMostOfAWarp ? kWarp : threads();
  }
  unsigned blocks() const {
    const int64_t at_once = threads() / lanes();
    return static_cast<unsigned>((geometry_.teams() + at_once - 1) / at_once);
  }
  template <class T, class... Rest>
  bool in_packs(const T* first, const Rest*... rest) const {
    return packs<T>(geometry_.group_channels(), first, rest...);
  }
  int64_t slice_bytes() const { return int64_t{slices_} * geometry_.channels * size_of(Dtype::kF32); }

  template <class T>
  void backward_weights(const T* x, const T* dy, const Statistics* kept, Stream& stream) const {
    auto* const workspace = static_cast<std::byte*>(args_.workspace);
    auto* const dweight = reinterpret_cast<float*>(workspace);
    auto* const dbias = reinterpret_cast<float*>(workspace + slice_bytes());
    void* const scratch = workspace + 2 * slice_bytes();
    launch(weights_kernel<T>, blocks_for(int64_t{slices_} * geometry_.channels), block_threads(), stream, geometry_, x,
           dy, kept, slices_, dweight, dbias);
    column_sums_cuda(Dtype::kF32, slices_, geometry_.channels, dweight, nullptr, nullptr, args_.dw[0].as<float>(),
                     scratch, stream);
    column_sums_cuda(Dtype::kF32, slices_, geometry_.channels, dbias, nullptr, nullptr, args_.dw[1].as<float>(),
                     scratch, stream);
  }

  Geometry geometry_;
  float epsilon_;
  int slices_ = 1;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const GroupNorm& layer, const CudaCompile& compile) {
  const auto& [groups, epsilon] = layer.options();
  return std::make_unique<GroupNormCuda>(compile.request.inputs[0].shape, groups, epsilon, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const LayerNorm& layer, const CudaCompile& compile) {
  const Shape& x = compile.request.inputs[0].shape;
  const Shape pixels{x.n * x.h * x.w, 1, 1, x.c};
  return std::make_unique<GroupNormCuda>(pixels, 1, layer.epsilon(), compile.request);
}

}  // namespace convoy
