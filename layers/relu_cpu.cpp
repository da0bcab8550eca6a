#include "layers/relu.h"

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

template <class T>
void forward_loop(int64_t elements, const T* x, T* y) {
  for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t i = begin; i < end; ++i) {
      const float value = load(x + i);
      store(y + i, value <= 0 ? 0.0F : value);  // NaN stays NaN
    }
  });
}

template <class T>
void gradient_loop(int64_t elements, const T* y, const T* dy, T* dx) {
  for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float g = load(dy + i);  // not in the condition: that would be a branch, and no vectors
      store(dx + i, load(y + i) > 0 ? g : 0.0F);
    }
  });
}

class ReluCpu : public CpuKernel {
 public:
  explicit ReluCpu(const CompileRequest& request) {
    inputs_ = request.inputs;
    output_ = request.inputs[0];
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_output() const override { return true; }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(planes(output_).elements(), args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override { relu_gradient(output_, args_.y.data, args_.dy.data, args_.dx[0].data); }
};

}  // namespace

void relu_gradient(const ValueType& type, const void* y, const void* dy, void* dx) {
  with_elements(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    gradient_loop(planes(type).elements(), static_cast<const T*>(y), static_cast<const T*>(dy), static_cast<T*>(dx));
  });
}

std::unique_ptr<Kernel> make_cpu_kernel(const Relu&, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<ReluCpu>(request);
}

}  // namespace convoy
