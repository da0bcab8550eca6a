// In any layout, a pixel of a plane at a time.  Backward gathers: each dx is the sum over the outputs that read it, so
// it is written once.
#include "layers/upsample.h"

#include <algorithm>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

constexpr int64_t kLanes = 16;  // channels in registers

// Calls body(first, lanes) for at most kLanes of `inner` channels at a time.  A constant number of lanes is what the
// compiler keeps in registers.
template <class Body>
CONVOY_INLINE inline void for_lanes(int64_t inner, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= inner; c += kLanes) body(c, kLanes);
  if (c < inner) body(c, inner - c);
}

class UpsampleCpu : public CpuKernel {
 public:
  UpsampleCpu(const Upsample& layer, const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    const auto& [scale_h, scale_w, bilinear] = layer.options();
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype, x.layout};
    h_ = {x.shape.h, scale_h, bilinear};
    w_ = {x.shape.w, scale_w, bilinear};
    if (request.mode != Mode::kTrain || !request.wants_dx[0]) return;
    parts_ = {{"backward", {0}, false}};
    for (int i = 0; i < w_.input; ++i) {
      const UpsampleReaders readers = readers_of(w_, i);
      for (int o = readers.begin; o < readers.end; ++o) column_weights_.push_back(weight_of(w_, i, o));
      column_weights_.resize(static_cast<size_t>(i + 1) * most_readers(w_));
    }
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
  static size_t most_readers(const UpsampleAxis& axis) { return static_cast<size_t>(axis.scale) * 3; }
  template <class T>
  void forward_loop(const T* x, T* y) const;
  template <class T>
  void backward_loop(const T* dy, T* dx) const;

  UpsampleAxis h_{}, w_{};
  std::vector<float> column_weights_;  // of each column of x in its readers, from the first on
};

template <class T>
void UpsampleCpu::forward_loop(const T* x, T* y) const {
  const Planes p = planes(output_);
  const UpsampleAxis h = h_, w = w_;
  const int64_t height = output_.shape.h, width = output_.shape.w, inner = p.inner;
  const int64_t grain = std::max<int64_t>(1, kGrain / (width * inner));
  for_ranges(p.outer * height, grain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t row = begin; row < end; ++row) {
      const UpsampleSource of_row = source_of(h, static_cast<int>(row % height));
      const T* const plane = x + row / height * h.input * w.input * inner;
      const T* const upper = plane + int64_t{of_row.first} * w.input * inner;
      const T* const lower = plane + int64_t{of_row.second} * w.input * inner;
      T* to = y + row * width * inner;
      for (int64_t column = 0; column < width; ++column, to += inner) {
        const UpsampleSource at = source_of(w, static_cast<int>(column));
        const int64_t left = at.first * inner, right = at.second * inner;
        const float down = of_row.share, across = at.share;
        if (!w.bilinear) {
          for (int64_t c = 0; c < inner; ++c) to[c] = upper[left + c];
          continue;
        }
        for_lanes(inner, [=](int64_t first, int64_t lanes) CONVOY_INLINE {
#pragma omp simd
          for (int64_t c = first; c < first + lanes; ++c) {
            const float above = load(upper + left + c) * (1 - across) + load(upper + right + c) * across;
            const float below = load(lower + left + c) * (1 - across) + load(lower + right + c) * across;
            store(to + c, above * (1 - down) + below * down);
          }
        });
      }
    }
  });
}

template <class T>
void UpsampleCpu::backward_loop(const T* dy, T* dx) const {
  const Planes p = planes(inputs_[0]);
  const UpsampleAxis h = h_, w = w_;
  const int64_t width = output_.shape.w, inner = p.inner;
  const float* const weights = column_weights_.data();
  const auto most = static_cast<int64_t>(most_readers(w));
  const int64_t cost = w.input * inner * h.scale * w.scale;
  for_ranges(p.outer * h.input, std::max<int64_t>(1, kGrain / cost), [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t row = begin; row < end; ++row) {
      const auto ih = static_cast<int>(row % h.input);
      const UpsampleReaders rows = readers_of(h, ih);
      const T* const plane = dy + row / h.input * h.input * h.scale * width * inner;
      T* to = dx + row * w.input * inner;
      for (int iw = 0; iw < w.input; ++iw, to += inner) {
        const UpsampleReaders columns = readers_of(w, iw);
        for_lanes(inner, [=](int64_t first, int64_t lanes) CONVOY_INLINE {
          float sum[kLanes] = {};
          for (int oh = rows.begin; oh < rows.end; ++oh) {
            const float down = weight_of(h, ih, oh);
            if (down == 0) continue;
            for (int ow = columns.begin; ow < columns.end; ++ow) {
              const float weight = down * weights[iw * most + ow - columns.begin];
              if (weight == 0) continue;
              const T* const from = plane + (oh * width + ow) * inner + first;
#pragma omp simd
              for (int64_t c = 0; c < lanes; ++c) sum[c] += load(from + c) * weight;
            }
          }
#pragma omp simd
          for (int64_t c = 0; c < lanes; ++c) store(to + first + c, sum[c]);
        });
      }
    }
  });
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Upsample& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<UpsampleCpu>(layer, request);
}

}  // namespace convoy
