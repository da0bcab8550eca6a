#include "layers/class_losses.h"

#include "layers/activation_functions.h"
#include "layers/kernels_cuda.h"
#include "layers/loss_cuda.cuh"

namespace convoy {
namespace {

struct Logistic {
  static __device__ float output(float x) { return elementwise::sigmoid(x); }
  static __device__ double loss(float x, double wanted) {
    return fmaxf(x, 0.0F) - x * wanted + log1pf(expf(-fabsf(x)));
  }
  static __device__ float slope(float y, float wanted) { return y - wanted; }
};

struct Square {
  static __device__ float output(float x) { return x; }
  static __device__ double loss(float x, double wanted) { return (x - wanted) * (x - wanted); }
  static __device__ float slope(float y, float wanted) { return 2 * (y - wanted); }
};

template <class T, class Function>
__global__ void __launch_bounds__(kMostLossThreads) class_loss_kernel(LossRows<T> it) {
  __shared__ Logit logits[kMostLossThreads];
  __shared__ double sums[kMostLossThreads];
  const int row = static_cast<int>(blockIdx.x), step = static_cast<int>(blockDim.x);
  const T* x = it.logits + int64_t{row} * it.classes;
  float* y = it.y + int64_t{row} * it.classes;
  for (int k = static_cast<int>(threadIdx.x); k < it.classes; k += step) y[k] = Function::output(to_float(x[k]));
  if (!it.counts(row)) return;

  const Target target = it.targets[row];
  const double share = target.share, kept = 1 - it.smoothing, spread = it.smoothing / it.classes;
  const double loss = sum_over_classes(it.classes, sums, [=](int k) {
    const double wanted = (target.a == k ? share : 0) + (target.b == k ? 1 - share : 0);
    return Function::loss(to_float(x[k]), kept * wanted + spread);
  });
  it.write_result(row, it.largest(x, logits).at, sums, [=] { return loss / it.classes; });
}

template <class Function>
struct MeanSlope {
  float classes;
  __device__ float slope(int, int, float y, float wanted) const { return Function::slope(y, wanted) / classes; }
};

template <class Function>
class ClassLossCuda : public LossCuda {
 public:
  using LossCuda::LossCuda;

  void forward(Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(class_loss_kernel<T, Function>, output_.shape.n, threads(), stream, rows<T>());
    });
    add_up(stream);
  }
  void backward(int, Stream& stream) override {
    write_gradient(MeanSlope<Function>{static_cast<float>(output_.shape.c)}, stream);
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const BinaryCrossEntropy& layer, const CudaCompile& compile) {
  return std::make_unique<ClassLossCuda<Logistic>>(layer, compile.request);
}

std::unique_ptr<Kernel> make_cuda_kernel(const MeanSquaredError& layer, const CudaCompile& compile) {
  return std::make_unique<ClassLossCuda<Square>>(layer, compile.request);
}

}  // namespace convoy
