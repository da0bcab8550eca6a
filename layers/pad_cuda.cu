#include "layers/pad.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

// The images of `to` from those of `from`, which are shifted by top and left; `value` where there is none.
template <class T>
struct Shift {
  const T* from;
  T* to;
  Shape from_shape, to_shape;
  int top, left;  // pixel [h,w] of `to` is [h - top, w - left] of `from`
  float value;
  template <int N>
  __device__ void run(int64_t i) const {
    const int64_t pixel = i / to_shape.c, row = pixel / to_shape.w;
    const int h = static_cast<int>(row % to_shape.h) - top, w = static_cast<int>(pixel % to_shape.w) - left;
    Pack<T, N> pack;
    if (h >= 0 && h < from_shape.h && w >= 0 && w < from_shape.w) {
      const int64_t source = (row / to_shape.h * from_shape.h + h) * from_shape.w + w;
      pack = load<N>(from + source * to_shape.c + i % to_shape.c);
    } else {
      for (T& element : pack.at) element = from_float<T>(value);
    }
    store(to + i, pack);
  }
};

class PadCuda : public CudaKernel {
 public:
  PadCuda(const Pad& layer, const CompileRequest& request) : options_(layer.options()) {
    inputs_ = {activation_cuda(request.inputs[0])};
    output_ = {layer.shape(std::vector{inputs_[0].shape}), inputs_[0].dtype};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream& stream) override { shift(args_.x[0], args_.y, options_.top, options_.left, stream); }
  void backward(int, Stream& stream) override { shift(args_.dy, args_.dx[0], -options_.top, -options_.left, stream); }

 private:
  void shift(const Tensor& from, const Tensor& to, int top, int left, Stream& stream) const {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Shift<T> op{from.as<T>(), to.as<T>(), from.type.shape, to.type.shape, top, left, options_.value};
      for_each<kPack<T>>(op, op.to_shape.elements(), packs<T>(op.to_shape.c, op.from, op.to), stream);
    });
  }

  PadOptions options_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Pad& layer, const CudaCompile& compile) {
  return std::make_unique<PadCuda>(layer, compile.request);
}

}  // namespace convoy
