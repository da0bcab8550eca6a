#include "layers/relu.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

template <class T>
struct Forward {
  const T* x;
  T* y;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(x + i);
    for (T& element : pack.at) element = to_float(element) <= 0 ? T{} : element;  // NaN stays NaN
    store(y + i, pack);
  }
};

template <class T>
struct Gradient {
  const T *y, *dy;
  T* dx;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<T, N> gate = load<N>(y + i);
    Pack<T, N> pack = load<N>(dy + i);
    for (int k = 0; k < N; ++k) pack.at[k] = to_float(gate.at[k]) > 0 ? pack.at[k] : T{};
    store(dx + i, pack);
  }
};

class ReluCuda : public CudaKernel {
 public:
  explicit ReluCuda(const CompileRequest& request) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_output() const override { return true; }
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Forward<T> op{args_.x[0].as<T>(), args_.y.as<T>()};
      for_each<kPack<T>>(op, output_.shape.elements(), aligned<kPack<T>>(op.x, op.y), stream);
    });
  }
  void backward(int, Stream& stream) override {
    relu_gradient_cuda(output_, args_.y.data, args_.dy.data, args_.dx[0].data, stream);
  }
};

}  // namespace

void relu_gradient_cuda(const ValueType& type, const void* y, const void* dy, void* dx, Stream& stream) {
  with_elements_cuda(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Gradient<T> op{static_cast<const T*>(y), static_cast<const T*>(dy), static_cast<T*>(dx)};
    for_each<kPack<T>>(op, type.shape.elements(), aligned<kPack<T>>(op.y, op.dy, op.dx), stream);
  });
}

std::unique_ptr<Kernel> make_cuda_kernel(const Relu&, const CudaCompile& compile) {
  return std::make_unique<ReluCuda>(compile.request);
}

}  // namespace convoy
