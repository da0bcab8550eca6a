// Convolution by the definition, where the libraries have no engine: any groups, dilation, stride and padding.
//
// forward          y[n,p,q,o]  = Σ r,s,c  x[n, p·stride - low + r·dilation, …, c] · w[o,r,s,c]
// backward data    dx[n,h,w,c] = Σ r,s,o  dy[n,p,q,o] · w[o,r,s,c]    where p·stride - low + r·dilation = h, …
// backward weights dw[o,r,s,c] = Σ n,p,q  dy[n,p,q,o] · x[n, p·stride - low + r·dilation, …, c]
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"
#include "layers/libraries_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

struct Geometry {
  Shape x, w, y;
  WindowAxes axes;
  int groups;

  __device__ int channels() const { return w.c; }  // of x in a group
  __device__ int filters() const { return y.c / groups; }
};

struct Pixel {
  int64_t n;
  int h, w;
};
__device__ Pixel pixel_at(const Shape& shape, int64_t index) {
  const int64_t row = index / shape.w;
  return {row / shape.h, static_cast<int>(row % shape.h), static_cast<int>(index % shape.w)};
}
__host__ __device__ int64_t pixels(const Shape& shape) { return int64_t{shape.n} * shape.h * shape.w; }
__device__ int64_t index_of(const Shape& shape, int64_t n, int h, int w) { return (n * shape.h + h) * shape.w + w; }

// Where output `o` reads with place k of the window; negative: in the padding.
__device__ int source(const WindowAxis& axis, int o, int k) {
  const int i = o * axis.stride - axis.low + k * axis.dilation;
  return i < axis.input ? i : -1;
}
// The output that reads input `i` with place k of the window; negative: none.
__device__ int reader(const WindowAxis& axis, int i, int k) {
  const int from = i + axis.low - k * axis.dilation;
  return from >= 0 && from % axis.stride == 0 && from / axis.stride < axis.output ? from / axis.stride : -1;
}

// The walks over a window: body(pixel of the other tensor, place in the window).
struct Forward {  // from a pixel of y over x
  template <class Body>
  static __device__ void walk(const Geometry& g, const Pixel& at, Body body) {
    for (int r = 0; r < g.w.h; ++r) {
      const int h = source(g.axes.h, at.h, r);
      for (int s = 0; s < g.w.w && h >= 0; ++s) {
        const int w = source(g.axes.w, at.w, s);
        if (w >= 0) body(index_of(g.x, at.n, h, w), r * g.w.w + s);
      }
    }
  }
};
struct BackwardData {  // from a pixel of x over y
  template <class Body>
  static __device__ void walk(const Geometry& g, const Pixel& at, Body body) {
    for (int r = 0; r < g.w.h; ++r) {
      const int p = reader(g.axes.h, at.h, r);
      for (int s = 0; s < g.w.w && p >= 0; ++s) {
        const int q = reader(g.axes.w, at.w, s);
        if (q >= 0) body(index_of(g.y, at.n, p, q), r * g.w.w + s);
      }
    }
  }
};

// Channels of a group that one thread computes: what it reads of the other tensor serves all of them.
constexpr int kRun = 4;

struct Item {  // of a thread, in the order of memory
  Pixel pixel;
  int group, first, count;  // channels of the group
};
__device__ Item item_at(const Shape& shape, int groups, int64_t index) {
  const int channels = shape.c / groups, runs = (channels + kRun - 1) / kRun;
  const int64_t pixel = index / (groups * runs);
  const int run = static_cast<int>(index % (groups * runs)), first = run % runs * kRun;
  return {pixel_at(shape, pixel), run / runs, first, channels - first < kRun ? channels - first : kRun};
}
int64_t items_of(const Shape& shape, int groups) {
  return pixels(shape) * groups * ((shape.c / groups + kRun - 1) / kRun);
}

template <class T>
__global__ void forward_kernel(Geometry g, const T* x, const T* w, const T* bias, bool relu, T* y, int64_t items) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int channels = g.channels(), per_filter = g.w.h * g.w.w * channels;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < items; i += stride) {
    const Item it = item_at(g.y, g.groups, i);
    const int filter = it.group * g.filters() + it.first;
    float sums[kRun] = {};
    Forward::walk(g, it.pixel, [&](int64_t pixel, int place) {
      const T* from = x + pixel * g.x.c + it.group * channels;
      const T* weight = w + int64_t{filter} * per_filter + place * channels;
      for (int c = 0; c < channels; ++c) {
        const float value = to_float(from[c]);
        for (int k = 0; k < it.count; ++k) sums[k] += value * to_float(weight[k * per_filter + c]);
      }
    });
    T* to = y + index_of(g.y, it.pixel.n, it.pixel.h, it.pixel.w) * g.y.c + filter;
    for (int k = 0; k < it.count; ++k) {
      const float value = sums[k] + (bias == nullptr ? 0 : to_float(bias[filter + k]));
      to[k] = from_float<T>(relu && value <= 0 ? 0 : value);
    }
  }
}

template <class T>
__global__ void data_kernel(Geometry g, const T* dy, const T* w, T* dx, int64_t items) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int channels = g.channels(), filters = g.filters(), per_filter = g.w.h * g.w.w * channels;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < items; i += stride) {
    const Item it = item_at(g.x, g.groups, i);
    const int filter = it.group * filters;
    float sums[kRun] = {};
    BackwardData::walk(g, it.pixel, [&](int64_t pixel, int place) {
      const T* from = dy + pixel * g.y.c + filter;
      const T* weight = w + int64_t{filter} * per_filter + place * channels + it.first;
      for (int o = 0; o < filters; ++o, weight += per_filter) {
        const float value = to_float(from[o]);
        for (int k = 0; k < it.count; ++k) sums[k] += value * to_float(weight[k]);
      }
    });
    T* to = dx + index_of(g.x, it.pixel.n, it.pixel.h, it.pixel.w) * g.x.c + it.group * channels + it.first;
    for (int k = 0; k < it.count; ++k) to[k] = from_float<T>(sums[k]);
  }
}

// Both directions where each channel is a group of its own: N neighbouring channels per thread.
template <class T, int N, class Direction>
__global__ void depthwise_kernel(Geometry g, Shape shape, const T* from, const T* w, const T* bias, bool relu, T* to,
                                 int64_t items) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int packs = shape.c / N, places = g.w.h * g.w.w;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < items; i += stride) {
    const int pack = static_cast<int>(i % packs), channel = pack * N;
    float sums[N] = {};
    Direction::walk(g, pixel_at(shape, i / packs), [&](int64_t pixel, int place) {
      const Pack<T, N> values = reinterpret_cast<const Pack<T, N>*>(from)[pixel * packs + pack];
      for (int k = 0; k < N; ++k) sums[k] += to_float(values.at[k]) * to_float(w[(channel + k) * places + place]);
    });
    Pack<T, N> result;
    for (int k = 0; k < N; ++k) {
      const float value = sums[k] + (bias == nullptr ? 0 : to_float(bias[channel + k]));
      result.at[k] = from_float<T>(relu && value <= 0 ? 0 : value);
    }
    reinterpret_cast<Pack<T, N>*>(to)[i] = result;
  }
}

// One element of dw, over a slice of the rows of all images.  Filters come first: neighbouring threads read
// neighbouring elements of dy, and the same of x (or neighbouring, where groups are small).
template <class T>
__global__ void weights_kernel(Geometry g, const T* x, const T* dy, float* sums, int slices, int64_t items) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int channels = g.channels(), places = g.w.h * g.w.w;
  const int64_t elements = int64_t{g.y.c} * places * channels, rows = int64_t{g.y.n} * g.y.h;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < items; i += stride) {
    const int64_t slice = i / elements, rest = i % elements / g.y.c;
    const int o = static_cast<int>(i % g.y.c), c = static_cast<int>(rest % channels);
    const int place = static_cast<int>(rest / channels), channel = o / g.filters() * channels + c;
    float sum = 0;
    for (int64_t row = rows * slice / slices; row < rows * (slice + 1) / slices; ++row) {
      const int h = source(g.axes.h, static_cast<int>(row % g.y.h), place / g.w.w);
      float of_row = 0;  // summed on its own: less is lost where there are many
      for (int q = 0; q < g.y.w && h >= 0; ++q) {
        const int w = source(g.axes.w, q, place % g.w.w);
        if (w < 0) continue;
        of_row += to_float(dy[(row * g.y.w + q) * g.y.c + o]) *
                  to_float(x[index_of(g.x, row / g.y.h, h, w) * g.x.c + channel]);
      }
      sum += of_row;
    }
    sums[i] = sum;
  }
}

// dw from the sums of all slices, which come in the order of weights_kernel.
__global__ void slices_kernel(Geometry g, const float* sums, int slices, float* dw, int64_t elements) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  const int64_t per_filter = elements / g.y.c;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += stride) {
    float sum = 0;
    for (int slice = 0; slice < slices; ++slice) sum += sums[slice * elements + i];
    dw[i % g.y.c * per_filter + i / g.y.c] = sum;
  }
}

class DirectConvolution : public Convolution {
 public:
  explicit DirectConvolution(const ConvolutionSpec& spec)
      : spec_(spec),
        geometry_{spec.x, spec.w, spec.y, spec.axes, spec.groups},
        depthwise_(spec.groups == spec.x.c && spec.groups == spec.y.c) {
    const bool weights = spec.pass == Pass::kBackwardWeights;
    CHECK(spec.result == (weights ? Dtype::kF32 : spec.dtype), "the dtype of the result");
    // Enough threads to fill a large card.  Of the shapes alone, so that sums come out the same on all cards.
    constexpr int64_t kThreads = 1 << 18;
    const int64_t elements = spec.w.elements(), rows = int64_t{spec.y.n} * spec.y.h;
    slices_ = static_cast<int>(std::clamp<int64_t>(kThreads / elements, 1, rows));
    if (weights) workspace_bytes_ = elements * slices_ * size_of(Dtype::kF32);
  }

  int64_t workspace_bytes() const override { return workspace_bytes_; }
  std::string engine() const override { return "direct"; }
  void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) override {
    with_elements_cuda(spec_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T *from = static_cast<const T*>(a), *with = static_cast<const T*>(b), *add = static_cast<const T*>(bias);
      switch (spec_.pass) {
        case Pass::kForward: return forward(from, with, add, static_cast<T*>(result), stream);
        case Pass::kBackwardData: return backward_data(from, with, static_cast<T*>(result), stream);
        case Pass::kBackwardWeights:
          return backward_weights(from, with, static_cast<float*>(result), static_cast<float*>(workspace), stream);
      }
    });
  }

 private:
  template <class T>
  void forward(const T* x, const T* w, const T* bias, T* y, Stream& stream) {
    if (depthwise_) return depthwise<Forward>(spec_.y, x, w, bias, spec_.relu, y, stream);
    const int64_t items = items_of(spec_.y, spec_.groups);
    launch(forward_kernel<T>, blocks_for(items), block_threads(), stream, geometry_, x, w, bias, spec_.relu, y, items);
  }
  template <class T>
  void backward_data(const T* dy, const T* w, T* dx, Stream& stream) {
    if (depthwise_) return depthwise<BackwardData>(spec_.x, dy, w, static_cast<const T*>(nullptr), false, dx, stream);
    const int64_t items = items_of(spec_.x, spec_.groups);
    launch(data_kernel<T>, blocks_for(items), block_threads(), stream, geometry_, dy, w, dx, items);
  }
  template <class Direction, class T>
  void depthwise(const Shape& shape, const T* from, const T* w, const T* bias, bool relu, T* to, Stream& stream) {
    const bool packed = packs<T>(shape.c, from, to);
    const int64_t items = shape.elements() / (packed ? kPack<T> : 1);
    launch(packed ? depthwise_kernel<T, kPack<T>, Direction> : depthwise_kernel<T, 1, Direction>, blocks_for(items),
           block_threads(), stream, geometry_, shape, from, w, bias, relu, to, items);
  }
  template <class T>
  void backward_weights(const T* x, const T* dy, float* dw, float* sums, Stream& stream) {
    const int64_t elements = spec_.w.elements(), items = elements * slices_;
    launch(weights_kernel<T>, blocks_for(items), block_threads(), stream, geometry_, x, dy, sums, slices_, items);
    launch(slices_kernel, blocks_for(elements), block_threads(), stream, geometry_, sums, slices_, dw, elements);
  }

  const ConvolutionSpec spec_;
  const Geometry geometry_;
  const bool depthwise_;
  int slices_ = 1;
  int64_t workspace_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Convolution> make_direct_convolution(const ConvolutionSpec& spec) {
  return std::make_unique<DirectConvolution>(spec);
}

}  // namespace convoy
