#include "layers/softmax.h"

#include "layers/activation_functions.h"
#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

template <class T>
CONVOY_INLINE inline void softmax_row(const T* x, float* y, int64_t channels) {
  float largest = load(x);
  for (int64_t c = 1; c < channels; ++c) largest = load(x + c) > largest ? load(x + c) : largest;
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) y[c] = elementwise::decay(largest - load(x + c));
  double sum = 0;  // one at a time: the same bits at every SIMD level
  for (int64_t c = 0; c < channels; ++c) sum += y[c];
  const auto scale = static_cast<float>(1 / sum);
  for (int64_t c = 0; c < channels; ++c) y[c] *= scale;
}

template <class T>
CONVOY_INLINE inline void gradient_row(const float* y, const float* dy, T* dx, int64_t channels) {
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) sum += static_cast<double>(y[c]) * dy[c];
  const auto mean = static_cast<float>(sum);
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) store(dx + c, y[c] * (dy[c] - mean));
}

class SoftmaxCpu : public CpuKernel {
 public:
  explicit SoftmaxCpu(const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    inputs_ = {{x.shape, x.dtype}};
    output_ = {x.shape, Dtype::kF32};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_output() const override { return true; }
  void forward(Stream&) override {
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const auto* x = args_.x[0].as<decltype(zero)>();
      float* y = args_.y.as<float>();
      for_pixels([=](int64_t at, int64_t channels) CONVOY_INLINE { softmax_row(x + at, y + at, channels); });
    });
  }
  void backward(int, Stream&) override {
    with_elements(inputs_[0].dtype, [&](auto zero) {
      const float *y = args_.y.as<float>(), *dy = args_.dy.as<float>();
      auto* dx = args_.dx[0].as<decltype(zero)>();
      for_pixels([=](int64_t at, int64_t channels) CONVOY_INLINE { gradient_row(y + at, dy + at, dx + at, channels); });
    });
  }

 private:
  // Calls body(first element, channels) for each pixel.
  template <class Body>
  void for_pixels(const Body& body) const {
    const int64_t channels = output_.shape.c, pixels = output_.shape.elements() / channels;
    for_ranges(pixels, std::max<int64_t>(1, kGrain / 4 / channels), [=](int64_t begin, int64_t end) CONVOY_INLINE {
      for (int64_t pixel = begin; pixel < end; ++pixel) body(pixel * channels, channels);
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Softmax&, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<SoftmaxCpu>(request);
}

}  // namespace convoy
