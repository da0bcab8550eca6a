// Pools with own loops, in any layout: each plane is worked on with `inner` neighbouring channels at a time.
// The backward passes gather: each dx is the sum over the windows that contain it, so it is written once.
// Loops over lanes are marked `omp simd`: else gcc unrolls them before it looks for vectors, and finds none (measured:
// 8 times slower).
#include "layers/pool.h"

#include <algorithm>
#include <limits>

#include "layers/chunks_cpu.h"

namespace convoy {
namespace {

class PoolCpu : public CpuKernel {
 public:
  PoolCpu(const Layer& layer, const WindowAxes& axes, const CompileRequest& request) : h_(axes.h), w_(axes.w) {
    const ValueType& x = request.inputs[0];
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype, x.layout};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }

 protected:
  WindowAxis h_, w_;
};

// Saves, for each output, which element of its window was the largest: row · kernel width + column, in 16 bits.
class MaxPoolCpu : public PoolCpu {
 public:
  MaxPoolCpu(const MaxPool& layer, const CompileRequest& request)
      : PoolCpu(layer, window_axes(layer.window(), request.inputs[0].shape), request) {
    if (h_.kernel * w_.kernel > std::numeric_limits<uint16_t>::max()) {
      throw Error(ExitCode::kConfig, "kernel: expected at most 65535 pixels in a max_pool window");
    }
    if (!parts_.empty()) saved_ = {planes(output_).elements() * 2};
  }
  void forward(Stream&) override {
    uint16_t* where = saved_.empty() ? nullptr : static_cast<uint16_t*>(args_.saved[0]);
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      if (where == nullptr) return largest_loop(args_.x[0].as<T>(), args_.y.as<T>());
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>(), where);
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.dy.as<T>(), args_.dx[0].as<T>(), static_cast<const uint16_t*>(args_.saved[0]));
    });
  }

 private:
  template <class T>
  void forward_loop(const T* x, T* y, uint16_t* where) const;
  template <class T>
  void largest_loop(const T* x, T* y) const;
  template <class T>
  void backward_loop(const T* dy, T* dx, const uint16_t* where) const;
};

template <class T>
void MaxPoolCpu::forward_loop(const T* x, T* y, uint16_t* where) const {
  const WindowAxis h = h_, w = w_;
  const Planes p = planes(output_);
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    const T* from = x + plane * h.input * w.input * p.inner + first;
    int64_t to = plane * p.pixels * p.inner + first;
    float best[kLanes];
    int32_t best_at[kLanes];
    for (int oh = 0; oh < h.output; ++oh) {
      const WindowSpan rows = inside(h, oh);
      for (int ow = 0; ow < w.output; ++ow, to += p.inner) {
        const WindowSpan columns = inside(w, ow);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) {
          best[c] = -std::numeric_limits<float>::infinity();
          best_at[c] = rows.begin * w.kernel + columns.begin;
        }
        for (int kh = rows.begin; kh < rows.end; ++kh) {
          const int64_t ih = oh * h.stride - h.low + kh;
          for (int kw = columns.begin; kw < columns.end; ++kw) {
            const T* pixel = from + (ih * w.input + ow * w.stride - w.low + kw) * p.inner;
            const int32_t at = kh * w.kernel + kw;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) {
              const float value = load(pixel + c);
              const bool better = value > best[c] || value != value;
              best[c] = better ? value : best[c];
              best_at[c] = better ? at : best_at[c];
            }
          }
        }
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(y + to + c, best[c]);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) where[to + c] = static_cast<uint16_t>(best_at[c]);
      }
    }
  });
}

// Where nobody asks which element it was: in the order of the memory, row by row.
template <class T>
void MaxPoolCpu::largest_loop(const T* x, T* y) const {
  const WindowAxis h = h_, w = w_;
  const Planes p = planes(output_);
  const int64_t grain = std::max<int64_t>(1, kGrain / (w.output * p.inner));
  for_ranges(p.outer * h.output, grain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t row = begin; row < end; ++row) {
      const auto oh = static_cast<int>(row % h.output);
      const WindowSpan rows = inside(h, oh);
      const T* plane = x + row / h.output * h.input * w.input * p.inner;
      const auto pixel_of = [=](int64_t first, int ow, int64_t lanes) CONVOY_INLINE {
        const WindowSpan columns = inside(w, ow);
        float best[kLanes];
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) best[c] = -std::numeric_limits<float>::infinity();
        for (int kh = rows.begin; kh < rows.end; ++kh) {
          const int64_t ih = oh * h.stride - h.low + kh;
          for (int kw = columns.begin; kw < columns.end; ++kw) {
            const T* pixel = plane + (ih * w.input + ow * w.stride - w.low + kw) * p.inner + first;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) {
              const float value = load(pixel + c);
              best[c] = value > best[c] || value != value ? value : best[c];
            }
          }
        }
        T* to = y + (row * w.output + ow) * p.inner + first;
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(to + c, best[c]);
      };
      for (int ow = 0; ow < w.output; ++ow) {
        int64_t first = 0;
        for (; first + kLanes <= p.inner; first += kLanes) pixel_of(first, ow, kLanes);
        if (first < p.inner) pixel_of(first, ow, p.inner - first);
      }
    }
  });
}

template <class T>
void MaxPoolCpu::backward_loop(const T* dy, T* dx, const uint16_t* where) const {
  const WindowAxis h = h_, w = w_;
  const Planes p = planes(inputs_[0]);
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    T* to = dx + plane * p.pixels * p.inner + first;
    const int64_t from = plane * h.output * w.output * p.inner + first;
    float sum[kLanes];
    for (int ih = 0; ih < h.input; ++ih) {
      const WindowSpan rows = windows_of(h, ih);
      for (int iw = 0; iw < w.input; ++iw, to += p.inner) {
        const WindowSpan columns = windows_of(w, iw);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) sum[c] = 0;
        for (int oh = rows.begin; oh < rows.end; ++oh) {
          for (int ow = columns.begin; ow < columns.end; ++ow) {
            const int64_t window = from + (int64_t{oh} * w.output + ow) * p.inner;
            const int at = (ih - oh * h.stride + h.low) * w.kernel + iw - ow * w.stride + w.low;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) {
              const float g = load(dy + window + c);
              sum[c] += where[window + c] == at ? g : 0.0F;
            }
          }
        }
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(to + c, sum[c]);
      }
    }
  });
}

class AveragePoolCpu : public PoolCpu {
 public:
  AveragePoolCpu(const AveragePool& layer, const CompileRequest& request)
      : PoolCpu(layer, window_axes(layer.window(), request.inputs[0].shape), request),
        include_padding_(layer.include_padding()) {}
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.dy.as<T>(), args_.dx[0].as<T>());
    });
  }

 private:
  template <class T>
  void forward_loop(const T* x, T* y) const;
  template <class T>
  void backward_loop(const T* dy, T* dx) const;

  bool include_padding_;
};

template <class T>
void AveragePoolCpu::forward_loop(const T* x, T* y) const {
  const WindowAxis h = h_, w = w_;
  const bool padding = include_padding_;
  const Planes p = planes(output_);
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    const T* from = x + plane * h.input * w.input * p.inner + first;
    T* to = y + plane * p.pixels * p.inner + first;
    float sum[kLanes];
    for (int oh = 0; oh < h.output; ++oh) {
      const WindowSpan rows = inside(h, oh);
      for (int ow = 0; ow < w.output; ++ow, to += p.inner) {
        const WindowSpan columns = inside(w, ow);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) sum[c] = 0;
        for (int kh = rows.begin; kh < rows.end; ++kh) {
          const int64_t ih = oh * h.stride - h.low + kh;
          for (int kw = columns.begin; kw < columns.end; ++kw) {
            const T* pixel = from + (ih * w.input + ow * w.stride - w.low + kw) * p.inner;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) sum[c] += load(pixel + c);
          }
        }
        const float scale = 1.0F / static_cast<float>(counted(h, oh, padding) * counted(w, ow, padding));
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(to + c, sum[c] * scale);
      }
    }
  });
}

template <class T>
void AveragePoolCpu::backward_loop(const T* dy, T* dx) const {
  const WindowAxis h = h_, w = w_;
  const bool padding = include_padding_;
  const Planes p = planes(inputs_[0]);
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    T* to = dx + plane * p.pixels * p.inner + first;
    const T* from = dy + plane * h.output * w.output * p.inner + first;
    float sum[kLanes];
    for (int ih = 0; ih < h.input; ++ih) {
      const WindowSpan rows = windows_of(h, ih);
      for (int iw = 0; iw < w.input; ++iw, to += p.inner) {
        const WindowSpan columns = windows_of(w, iw);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) sum[c] = 0;
        for (int oh = rows.begin; oh < rows.end; ++oh) {
          for (int ow = columns.begin; ow < columns.end; ++ow) {
            const float scale = 1.0F / static_cast<float>(counted(h, oh, padding) * counted(w, ow, padding));
            const T* window = from + (int64_t{oh} * w.output + ow) * p.inner;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) sum[c] += load(window + c) * scale;
          }
        }
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(to + c, sum[c]);
      }
    }
  });
}

// The output is canonical whatever the layout of the input: its readers (flatten, linear) want that, and it is small.
class GlobalAverageCpu : public CpuKernel {
 public:
  GlobalAverageCpu(const GlobalAverage& layer, const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.dy.as<T>(), args_.dx[0].as<T>());
    });
  }

 private:
  template <class T>
  void forward_loop(const T* x, T* y) const {
    const Planes p = planes(inputs_[0]);
    for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
      const T* from = x + plane * p.pixels * p.inner + first;
      float sum[kLanes] = {};
      for (int64_t pixel = 0; pixel < p.pixels; ++pixel, from += p.inner) {
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) sum[c] += load(from + c);
      }
      const int64_t channel = p.first_channel(plane) + first;
      T* to = y + plane / p.groups * p.channels + channel;
      const float scale = 1.0F / static_cast<float>(p.pixels);
      for (int64_t c = 0; c < lanes && channel + c < p.channels; ++c) store(to + c, sum[c] * scale);
    });
  }

  template <class T>
  void backward_loop(const T* dy, T* dx) const {
    const Planes p = planes(inputs_[0]);
    for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
      const int64_t channel = p.first_channel(plane) + first;
      const T* from = dy + plane / p.groups * p.channels + channel;
      const float scale = 1.0F / static_cast<float>(p.pixels);
      float value[kLanes] = {};
      for (int64_t c = 0; c < lanes && channel + c < p.channels; ++c) value[c] = load(from + c) * scale;
      T* to = dx + plane * p.pixels * p.inner + first;
      for (int64_t pixel = 0; pixel < p.pixels; ++pixel, to += p.inner) {
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(to + c, value[c]);
      }
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const MaxPool& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<MaxPoolCpu>(layer, request);
}

std::unique_ptr<Kernel> make_cpu_kernel(const AveragePool& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<AveragePoolCpu>(layer, request);
}

std::unique_ptr<Kernel> make_cpu_kernel(const GlobalAverage& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<GlobalAverageCpu>(layer, request);
}

std::unique_ptr<Kernel> make_cpu_kernel(const GlobalMax&, const CompileRequest& request) {
  return make_cpu_kernel(global_max_pool(request.inputs[0].shape), request);
}

}  // namespace convoy
