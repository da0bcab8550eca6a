#include "layers/relu.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

// y = x where gate > 0, else 0, `gate` being x itself or what the relu gave: forward and backward alike.
template <class T, int N>
__global__ void relu_kernel(const T* x, const T* gate, T* y, int64_t packs) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += stride) {
    const Pack<T, N> from = reinterpret_cast<const Pack<T, N>*>(x)[i],
                     by = reinterpret_cast<const Pack<T, N>*>(gate)[i];
    Pack<T, N> to;
    for (int k = 0; k < N; ++k) to.at[k] = to_float(by.at[k]) > 0 ? from.at[k] : T{};
    reinterpret_cast<Pack<T, N>*>(y)[i] = to;
  }
}

template <class T>
void gate(const T* x, const T* by, T* y, int64_t elements, Stream& stream) {
  if (packs<T>(elements, x, by, y)) {
    const int64_t count = elements / kPack<T>;
    launch(relu_kernel<T, kPack<T>>, blocks_for(count), block_threads(), stream, x, by, y, count);
  } else {
    launch(relu_kernel<T, 1>, blocks_for(elements), block_threads(), stream, x, by, y, elements);
  }
}

class ReluCuda : public CudaKernel {
 public:
  explicit ReluCuda(const CompileRequest& request) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_output() const override { return true; }
  void forward(Stream& stream) override {
    relu_gradient_cuda(output_, args_.x[0].data, args_.x[0].data, args_.y.data, stream);
  }
  void backward(int, Stream& stream) override {
    relu_gradient_cuda(output_, args_.y.data, args_.dy.data, args_.dx[0].data, stream);
  }
};

}  // namespace

void relu_gradient_cuda(const ValueType& type, const void* y, const void* dy, void* dx, Stream& stream) {
  with_elements_cuda(type.dtype, [&](auto zero) {
    using T = decltype(zero);
    gate(static_cast<const T*>(dy), static_cast<const T*>(y), static_cast<T*>(dx), type.shape.elements(), stream);
  });
}

std::unique_ptr<Kernel> make_cuda_kernel(const Relu&, const CudaCompile& compile) {
  return std::make_unique<ReluCuda>(compile.request);
}

}  // namespace convoy
