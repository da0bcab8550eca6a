#include "layers/activation.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

template <class T, class F>
struct Forward {
  const T* x;
  T* y;
  F function;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(x + i);
    for (T& element : pack.at) element = from_float<T>(function.value(to_float(element)));
    store(y + i, pack);
  }
};

template <class T, class F, bool kFromOutput>
struct Gradient {
  const T *known, *dy;  // known: y if kFromOutput, else x
  T* dx;
  F function;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<T, N> at = load<N>(known + i);
    Pack<T, N> pack = load<N>(dy + i);
    for (int k = 0; k < N; ++k) {
      pack.at[k] = from_float<T>(to_float(pack.at[k]) * slope_at<kFromOutput>(function, to_float(at.at[k])));
    }
    store(dx + i, pack);
  }
};

template <class F>
class ActivationCuda : public CudaKernel {
 public:
  ActivationCuda(const F& function, const CompileRequest& request) : function_(function) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int) const override { return !from_output(); }
  bool backward_reads_output() const override { return from_output(); }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T, F> op{args_.x[0].as<T>(), args_.y.as<T>(), function_};
      for_each<kPack<T>>(op, output_.shape.elements(), aligned<kPack<T>>(op.x, op.y), stream);
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      constexpr Dtype kDtype = sizeof(T) == 4 ? Dtype::kF32 : Dtype::kBF16;
      constexpr bool kFromOutput = slope_from_output(F::kSlopeFrom, kDtype);
      const Tensor& known = kFromOutput ? args_.y : args_.x[0];
      const Gradient<T, F, kFromOutput> op{known.as<T>(), args_.dy.as<T>(), args_.dx[0].as<T>(), function_};
      for_each<kPack<T>>(op, output_.shape.elements(), aligned<kPack<T>>(op.known, op.dy, op.dx), stream);
    });
  }

 private:
  bool from_output() const { return slope_from_output(F::kSlopeFrom, output_.dtype); }

  F function_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Activation& layer, const CudaCompile& compile) {
  return std::visit(
      [&](const auto& function) -> std::unique_ptr<Kernel> {
        return std::make_unique<ActivationCuda<std::decay_t<decltype(function)>>>(function, compile.request);
      },
      layer.function());
}

}  // namespace convoy
