#include "layers/adaptive_pool.h"

#include "layers/chunks_cpu.h"

namespace convoy {
namespace {

int count(WindowSpan span) { return span.end - span.begin; }

// to [h,w] = Σ from · weight over what each of its places covers of from [H,W]: forward with the weight of `to`, 1 over
// the elements of the place, and backward with that of `from`.
template <bool kBackward, class T>
void gather(const Planes& p, const Shape& from_shape, const Shape& to_shape, const T* from, T* to) {
  const int64_t from_h = from_shape.h, from_w = from_shape.w, to_h = to_shape.h, to_w = to_shape.w;
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    const T* source = from + plane * from_h * from_w * p.inner + first;
    T* target = to + plane * to_h * to_w * p.inner + first;
    float sum[kLanes];
    for (int64_t h = 0; h < to_h; ++h) {
      const WindowSpan rows = adaptive_span(h, to_h, from_h);
      for (int64_t w = 0; w < to_w; ++w, target += p.inner) {
        const WindowSpan columns = adaptive_span(w, to_w, from_w);
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) sum[c] = 0;
        for (int64_t row = rows.begin; row < rows.end; ++row) {
          for (int64_t column = columns.begin; column < columns.end; ++column) {
            const int elements =
                kBackward ? count(adaptive_span(row, from_h, to_h)) * count(adaptive_span(column, from_w, to_w)) : 1;
            const float weight = 1.0F / static_cast<float>(elements);
            const T* pixel = source + (row * from_w + column) * p.inner;
#pragma omp simd
            for (int64_t c = 0; c < lanes; ++c) sum[c] += load(pixel + c) * weight;
          }
        }
        const float weight = kBackward ? 1.0F : 1.0F / static_cast<float>(count(rows) * count(columns));
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) store(target + c, sum[c] * weight);
      }
    }
  });
}

class AdaptiveAveragePoolCpu : public CpuKernel {
 public:
  AdaptiveAveragePoolCpu(const AdaptiveAveragePool& layer, const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype, x.layout};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      gather<false>(planes(inputs_[0]), inputs_[0].shape, output_.shape, args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      gather<true>(planes(inputs_[0]), output_.shape, inputs_[0].shape, args_.dy.as<T>(), args_.dx[0].as<T>());
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const AdaptiveAveragePool& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<AdaptiveAveragePoolCpu>(layer, request);
}

}  // namespace convoy
