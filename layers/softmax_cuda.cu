// A warp a pixel.
#include "layers/softmax.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

// Of this warp; `pixels` and more are beyond the end.
__device__ inline int64_t pixel_of_warp() { return (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp; }

template <class T>
__global__ void softmax_rows(const T* x, float* y, int64_t pixels, int64_t channels) {
  const int64_t pixel = pixel_of_warp(), lane = threadIdx.x % kWarp;
  if (pixel >= pixels) return;
  x += pixel * channels;
  y += pixel * channels;
  float largest = -INFINITY, sum = 0;
  for (int64_t c = lane; c < channels; c += kWarp) largest = fmaxf(largest, to_float(x[c]));
  largest = warp_max(largest);
  for (int64_t c = lane; c < channels; c += kWarp) sum += expf(to_float(x[c]) - largest);
  sum = warp_sum(sum);
  for (int64_t c = lane; c < channels; c += kWarp) y[c] = expf(to_float(x[c]) - largest) / sum;
}

template <class T>
__global__ void softmax_gradients(const float* y, const float* dy, T* dx, int64_t pixels, int64_t channels) {
  const int64_t pixel = pixel_of_warp(), lane = threadIdx.x % kWarp;
  if (pixel >= pixels) return;
  y += pixel * channels;
  dy += pixel * channels;
  dx += pixel * channels;
  float sum = 0;
  for (int64_t c = lane; c < channels; c += kWarp) sum = fmaf(y[c], dy[c], sum);
  sum = warp_sum(sum);
  for (int64_t c = lane; c < channels; c += kWarp) dx[c] = from_float<T>(y[c] * (dy[c] - sum));
}

class SoftmaxCuda : public CudaKernel {
 public:
  explicit SoftmaxCuda(const CompileRequest& request) {
    const ValueType x = activation_cuda(request.inputs[0]);
    inputs_ = {x};
    output_ = {x.shape, Dtype::kF32};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_output() const override { return true; }
  void forward(Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(softmax_rows<T>, blocks(), block_threads(), stream, args_.x[0].as<T>(), args_.y.as<float>(), pixels(),
             int64_t{output_.shape.c});
    });
  }
  void backward(int, Stream& stream) override {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(softmax_gradients<T>, blocks(), block_threads(), stream, args_.y.as<float>(), args_.dy.as<float>(),
             args_.dx[0].as<T>(), pixels(), int64_t{output_.shape.c});
    });
  }

 private:
  int64_t pixels() const { return output_.shape.elements() / output_.shape.c; }
  unsigned blocks() const {
    const int64_t warps = block_threads() / kWarp;
    return static_cast<unsigned>((pixels() + warps - 1) / warps);
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Softmax&, const CudaCompile& compile) {
  return std::make_unique<SoftmaxCuda>(compile.request);
}

}  // namespace convoy
