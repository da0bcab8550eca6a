#include "layers/activation.h"
#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

template <class T, class F>
void forward_loop(const F& function, int64_t elements, const T* x, T* y) {
  for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) store(y + i, function.value(load(x + i)));
  });
}

template <bool kFromOutput, class T, class F>
void gradient_loop(const F& function, int64_t elements, const T* known, const T* dy, T* dx) {
  for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      store(dx + i, load(dy + i) * slope_at<kFromOutput>(function, load(known + i)));
    }
  });
}

// Zeros behind the last channel of every pixel.
template <class T>
void clear_padding(const Planes& p, T* y) {
  const int64_t last = p.groups - 1, valid = p.valid(last);
  if (valid == p.inner) return;
  const int64_t plane = p.pixels * p.inner;
  parallel_for(p.outer / p.groups, std::max<int64_t>(1, kGrain / plane), [=](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      T* pixel = y + (image * p.groups + last) * plane;
      for (int64_t i = 0; i < p.pixels; ++i, pixel += p.inner) std::fill(pixel + valid, pixel + p.inner, T{});
    }
  });
}

template <class F>
class ActivationCpu : public CpuKernel {
 public:
  ActivationCpu(const F& function, const CompileRequest& request) : function_(function) {
    inputs_ = request.inputs;
    output_ = request.inputs[0];
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int) const override { return !from_output(); }
  bool backward_reads_output() const override { return from_output(); }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Planes p = planes(output_);
      forward_loop(function_, p.elements(), args_.x[0].template as<T>(), args_.y.template as<T>());
      if (function_.value(0) != 0) clear_padding(p, args_.y.template as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      constexpr Dtype kDtype = std::is_same_v<T, float> ? Dtype::kF32 : Dtype::kBF16;
      constexpr bool kFromOutput = slope_from_output(F::kSlopeFrom, kDtype);
      const Tensor& known = kFromOutput ? args_.y : args_.x[0];
      gradient_loop<kFromOutput>(function_, planes(output_).elements(), known.as<T>(), args_.dy.template as<T>(),
                                 args_.dx[0].template as<T>());
    });
  }

 private:
  bool from_output() const { return slope_from_output(F::kSlopeFrom, output_.dtype); }

  F function_;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Activation& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::visit(
      [&](const auto& function) -> std::unique_ptr<Kernel> {
        return std::make_unique<ActivationCpu<std::decay_t<decltype(function)>>>(function, request);
      },
      layer.function());
}

}  // namespace convoy
