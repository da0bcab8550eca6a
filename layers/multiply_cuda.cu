#include "layers/multiply.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostThreads = 256;

// y = x · factors, where the factors of a row of C elements begin again after each image of `image` elements:
// factors [N,1,1,C]; or, with image 0, are [N,H,W,C].
template <class T>
struct Product {
  const T *x, *factors;
  T* y;
  int64_t image, channels;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(x + i);
    const Pack<T, N> by = load<N>(factors + (image == 0 ? i : i / image * channels + i % channels));
    for (int k = 0; k < N; ++k) pack.at[k] = from_float<T>(to_float(pack.at[k]) * to_float(by.at[k]));
    store(y + i, pack);
  }
};

// sums [N,1,1,C] = Σ a · b over the pixels: a block for a warp of channels of an image, its warps share the pixels.
template <class T>
__global__ void __launch_bounds__(kMostThreads)
    product_sums(const T* a, const T* b, T* sums, int64_t pixels, int64_t channels, int64_t tiles) {
  __shared__ float scratch[kMostThreads];
  const int64_t image = blockIdx.x / tiles, channel = blockIdx.x % tiles * kWarp + threadIdx.x % kWarp;
  const int warp = static_cast<int>(threadIdx.x / kWarp), warps = static_cast<int>(blockDim.x / kWarp);
  float sum = 0;
  if (channel < channels) {
    for (int64_t pixel = warp; pixel < pixels; pixel += warps) {
      const int64_t at = (image * pixels + pixel) * channels + channel;
      sum = fmaf(to_float(a[at]), to_float(b[at]), sum);
    }
  }
  scratch[threadIdx.x] = sum;
  __syncthreads();
  if (warp != 0 || channel >= channels) return;
  for (int other = 1; other < warps; ++other) sum += scratch[other * kWarp + threadIdx.x];
  sums[image * channels + channel] = from_float<T>(sum);
}

class MultiplyCuda : public CudaKernel {
 public:
  explicit MultiplyCuda(const CompileRequest& request) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_, {request.inputs[1].shape, output_.dtype}};
    BackwardPart part{"backward", {}, false};
    for (int i = 0; i < 2; ++i) {
      if (request.wants_dx[static_cast<size_t>(i)]) part.dx.push_back(i);
    }
    if (request.mode == Mode::kTrain && !part.dx.empty()) parts_ = {part};
  }
  bool backward_reads_input(int input) const override { return wants_dx(1 - input); }
  void forward(Stream& stream) override { multiply(args_.x[0], args_.x[1], args_.y, broadcasts(), stream); }
  void backward(int, Stream& stream) override {
    if (wants_dx(0)) multiply(args_.dy, args_.x[1], args_.dx[0], broadcasts(), stream);
    if (!wants_dx(1)) return;
    if (!broadcasts()) return multiply(args_.dy, args_.x[0], args_.dx[1], false, stream);
    const Shape& x = output_.shape;
    const int64_t tiles = (x.c + kWarp - 1) / kWarp;
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      launch(product_sums<T>, static_cast<unsigned>(x.n * tiles), std::min(block_threads(), kMostThreads), stream,
             args_.dy.as<T>(), args_.x[0].as<T>(), args_.dx[1].as<T>(), int64_t{x.h} * x.w, int64_t{x.c}, tiles);
    });
  }

 private:
  bool broadcasts() const { return inputs_[1].shape != output_.shape; }
  bool wants_dx(int input) const { return !parts_.empty() && std::ranges::count(parts_[0].dx, input) > 0; }

  void multiply(const Tensor& x, const Tensor& factors, const Tensor& y, bool broadcast, Stream& stream) const {
    const Shape& shape = output_.shape;
    const int64_t image = broadcast ? int64_t{shape.h} * shape.w * shape.c : 0;
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Product<T> op{x.as<T>(), factors.as<T>(), y.as<T>(), image, shape.c};
      const bool in_packs =
          image == 0 ? aligned<kPack<T>>(op.x, op.factors, op.y) : packs<T>(shape.c, op.x, op.factors, op.y);
      for_each<kPack<T>>(op, shape.elements(), in_packs, stream);
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Multiply&, const CudaCompile& compile) {
  return std::make_unique<MultiplyCuda>(compile.request);
}

}  // namespace convoy
