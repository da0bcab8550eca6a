// Pools: one thread a pack of channels of one pixel that it writes.  The backward passes gather, as on the CPU: each dx
// is the sum over the windows that contain it, in their order, so it is written once and always the same.
#include "layers/pool.h"

#include <limits>

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

// Where element i of [N,H,W,C] is, and the windows beside it.
struct Planes {
  WindowAxis h, w;
  int channels;

  struct Place {
    int64_t image;
    int row, column, channel;
  };
  __device__ Place place(int64_t i, int height, int width) const {
    const int64_t pixel = i / channels, row = pixel / width;
    return {row / height, static_cast<int>(row % height), static_cast<int>(pixel % width),
            static_cast<int>(i % channels)};
  }
  __device__ Place output(int64_t i) const { return place(i, h.output, w.output); }
  __device__ Place input(int64_t i) const { return place(i, h.input, w.input); }
  // The same channel of another pixel of the same image.
  __device__ int64_t in_input(const Place& at, int row, int column) const {
    return ((at.image * h.input + row) * w.input + column) * channels + at.channel;
  }
  __device__ int64_t in_output(const Place& at, int row, int column) const {
    return ((at.image * h.output + row) * w.output + column) * channels + at.channel;
  }
};

template <class T, int N>
__device__ Pack<T, N> rounded(const float (&values)[N]) {
  Pack<T, N> pack;
  for (int k = 0; k < N; ++k) pack.at[k] = from_float<T>(values[k]);
  return pack;
}

// ---- max_pool.  Saves, for each output, which element of its window was the largest: row · kernel width + column.

template <class T, class Index>
struct MaxForward {
  const T* x;
  T* y;
  Index* where;  // null: not wanted
  Planes planes;
  template <int N>
  __device__ void run(int64_t i) const {
    const WindowAxis &h = planes.h, &w = planes.w;
    const Planes::Place at = planes.output(i);
    const WindowSpan rows = inside(h, at.row), columns = inside(w, at.column);
    float best[N];
    int best_at[N];
    for (int k = 0; k < N; ++k) {
      best[k] = -INFINITY;
      best_at[k] = rows.begin * w.kernel + columns.begin;
    }
    for (int kh = rows.begin; kh < rows.end; ++kh) {
      for (int kw = columns.begin; kw < columns.end; ++kw) {
        const Pack<T, N> pixel =
            load<N>(x + planes.in_input(at, at.row * h.stride - h.low + kh, at.column * w.stride - w.low + kw));
        for (int k = 0; k < N; ++k) {
          const float value = to_float(pixel.at[k]);
          const bool better = value > best[k] || value != value;  // NaN wins
          best[k] = better ? value : best[k];
          best_at[k] = better ? kh * w.kernel + kw : best_at[k];
        }
      }
    }
    store(y + i, rounded<T>(best));
    if (where == nullptr) return;
    Pack<Index, N> indices;
    for (int k = 0; k < N; ++k) indices.at[k] = static_cast<Index>(best_at[k]);
    store(where + i, indices);
  }
};

template <class T, class Index>
struct MaxBackward {
  const T* dy;
  const Index* where;
  T* dx;
  Planes planes;
  template <int N>
  __device__ void run(int64_t i) const {
    const WindowAxis &h = planes.h, &w = planes.w;
    const Planes::Place at = planes.input(i);
    const WindowSpan rows = windows_of(h, at.row), columns = windows_of(w, at.column);
    float sum[N] = {};
    for (int oh = rows.begin; oh < rows.end; ++oh) {
      for (int ow = columns.begin; ow < columns.end; ++ow) {
        const int64_t window = planes.in_output(at, oh, ow);
        const int here = (at.row - oh * h.stride + h.low) * w.kernel + at.column - ow * w.stride + w.low;
        const Pack<T, N> gradient = load<N>(dy + window);
        const Pack<Index, N> largest = load<N>(where + window);
        for (int k = 0; k < N; ++k) sum[k] += largest.at[k] == here ? to_float(gradient.at[k]) : 0.0F;
      }
    }
    store(dx + i, rounded<T>(sum));
  }
};

// ---- average_pool

struct Share {
  bool include_padding;
  __device__ float of(const Planes& planes, int row, int column) const {
    return 1.0F /
           static_cast<float>(counted(planes.h, row, include_padding) * counted(planes.w, column, include_padding));
  }
};

template <class T>
struct AverageForward {
  const T* x;
  T* y;
  Planes planes;
  Share share;
  template <int N>
  __device__ void run(int64_t i) const {
    const WindowAxis &h = planes.h, &w = planes.w;
    const Planes::Place at = planes.output(i);
    const WindowSpan rows = inside(h, at.row), columns = inside(w, at.column);
    float sum[N] = {};
    for (int kh = rows.begin; kh < rows.end; ++kh) {
      for (int kw = columns.begin; kw < columns.end; ++kw) {
        const Pack<T, N> pixel =
            load<N>(x + planes.in_input(at, at.row * h.stride - h.low + kh, at.column * w.stride - w.low + kw));
        for (int k = 0; k < N; ++k) sum[k] += to_float(pixel.at[k]);
      }
    }
    const float scale = share.of(planes, at.row, at.column);
    for (float& value : sum) value *= scale;
    store(y + i, rounded<T>(sum));
  }
};

template <class T>
struct AverageBackward {
  const T* dy;
  T* dx;
  Planes planes;
  Share share;
  template <int N>
  __device__ void run(int64_t i) const {
    const WindowAxis &h = planes.h, &w = planes.w;
    const Planes::Place at = planes.input(i);
    const WindowSpan rows = windows_of(h, at.row), columns = windows_of(w, at.column);
    float sum[N] = {};
    for (int oh = rows.begin; oh < rows.end; ++oh) {
      for (int ow = columns.begin; ow < columns.end; ++ow) {
        const float scale = share.of(planes, oh, ow);
        const Pack<T, N> gradient = load<N>(dy + planes.in_output(at, oh, ow));
        for (int k = 0; k < N; ++k) sum[k] += to_float(gradient.at[k]) * scale;
      }
    }
    store(dx + i, rounded<T>(sum));
  }
};

class PoolCuda : public CudaKernel {
 public:
  PoolCuda(const Pool& layer, const CompileRequest& request) {
    const ValueType x = activation_cuda(request.inputs[0]);
    const WindowAxes axes = window_axes(layer.window(), x.shape);
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
    planes_ = {axes.h, axes.w, x.shape.c};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }

 protected:
  template <class T, class Op>
  void run(const Op& op, const ValueType& written, Stream& stream, bool in_packs) const {
    for_each<kPack<T>>(op, written.shape.elements(), in_packs, stream);
  }

  Planes planes_{};
};

class MaxPoolCuda : public PoolCuda {
 public:
  MaxPoolCuda(const MaxPool& layer, const CompileRequest& request) : PoolCuda(layer, request) {
    const int pixels = planes_.h.kernel * planes_.w.kernel;
    if (pixels > std::numeric_limits<uint16_t>::max()) {
      throw Error(ExitCode::kConfig, "kernel: expected at most 65535 pixels in a max_pool window");
    }
    wide_ = pixels > std::numeric_limits<uint8_t>::max();
    if (!parts_.empty()) saved_ = {output_.shape.elements() * (wide_ ? 2 : 1)};
  }
  void forward(Stream& stream) override {
    with_types([&](auto zero, auto index) {
      using T = decltype(zero);
      auto* const where = saved_.empty() ? nullptr : static_cast<decltype(index)*>(args_.saved[0]);
      const MaxForward<T, decltype(index)> op{args_.x[0].as<T>(), args_.y.as<T>(), where, planes_};
      run<T>(op, output_, stream, packs<T>(planes_.channels, op.x, op.y));
    });
  }
  void backward(int, Stream& stream) override {
    with_types([&](auto zero, auto index) {
      using T = decltype(zero);
      const auto* const where = static_cast<const decltype(index)*>(args_.saved[0]);
      const MaxBackward<T, decltype(index)> op{args_.dy.as<T>(), where, args_.dx[0].as<T>(), planes_};
      run<T>(op, inputs_[0], stream, packs<T>(planes_.channels, op.dy, op.dx));
    });
  }

 private:
  template <class Body>
  void with_types(Body body) const {
    with_elements_cuda(output_.dtype, [&](auto zero) { wide_ ? body(zero, uint16_t{}) : body(zero, uint8_t{}); });
  }

  bool wide_ = false;  // `where` has 16 bits, not 8
};

class AveragePoolCuda : public PoolCuda {
 public:
  AveragePoolCuda(const AveragePool& layer, const CompileRequest& request)
      : PoolCuda(layer, request), share_{layer.include_padding()} {}
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const AverageForward<T> op{args_.x[0].as<T>(), args_.y.as<T>(), planes_, share_};
      run<T>(op, output_, stream, packs<T>(planes_.channels, op.x, op.y));
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const AverageBackward<T> op{args_.dy.as<T>(), args_.dx[0].as<T>(), planes_, share_};
      run<T>(op, inputs_[0], stream, packs<T>(planes_.channels, op.dy, op.dx));
    });
  }

 private:
  Share share_;
};

// ---- global_average

template <class T>
struct GlobalBackward {
  const T* dy;
  T* dx;
  int64_t pixels, channels;
  float scale;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(dy + i / (pixels * channels) * channels + i % channels);
    for (T& element : pack.at) element = from_float<T>(to_float(element) * scale);
    store(dx + i, pack);
  }
};

class GlobalAverageCuda : public CudaKernel {
 public:
  GlobalAverageCuda(const GlobalAverage& layer, const CompileRequest& request) {
    const ValueType x = activation_cuda(request.inputs[0]);
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream& stream) override {
    row_means_cuda(output_.dtype, output_.shape.n, pixels(), output_.shape.c, args_.x[0].data, args_.y.data, stream);
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const int64_t channels = output_.shape.c;
      const GlobalBackward<T> op{args_.dy.as<T>(), args_.dx[0].as<T>(), pixels(), channels,
                                 1.0F / static_cast<float>(pixels())};
      for_each<kPack<T>>(op, inputs_[0].shape.elements(), packs<T>(channels, op.dy, op.dx), stream);
    });
  }

 private:
  int64_t pixels() const { return int64_t{inputs_[0].shape.h} * inputs_[0].shape.w; }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const MaxPool& layer, const CudaCompile& compile) {
  return std::make_unique<MaxPoolCuda>(layer, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const AveragePool& layer, const CudaCompile& compile) {
  return std::make_unique<AveragePoolCuda>(layer, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const GlobalAverage& layer, const CudaCompile& compile) {
  return std::make_unique<GlobalAverageCuda>(layer, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const GlobalMax&, const CudaCompile& compile) {
  return make_cuda_kernel(global_max_pool(compile.request.inputs[0].shape), compile);
}

}  // namespace convoy
