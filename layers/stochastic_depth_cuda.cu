// Keeps nothing: backward draws again from the same scalars.
#include "layers/stochastic_depth.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

template <class T>
struct Scale {
  const T* x;
  T* y;
  const StepScalars* scalars;
  int64_t row_elements;
  RowDraw draw;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<T, N> pack = load<N>(x + i);
    int64_t row = i / row_elements, left = row_elements - i % row_elements;
    float factor = draw.factor(*scalars, row);
    for (T& element : pack.at) {
      if (left-- == 0) {  // a pack may reach into the next rows
        factor = draw.factor(*scalars, ++row);
        left = row_elements - 1;
      }
      element = factor != 0 ? from_float<T>(to_float(element) * factor) : T{};
    }
    store(y + i, pack);
  }
};

class StochasticDepthCuda : public CudaKernel {
 public:
  StochasticDepthCuda(const StochasticDepth& layer, const CompileRequest& request)
      : draw_(layer), identity_(request.mode == Mode::kEval || layer.rate() == 0) {
    output_ = activation_cuda(request.inputs[0]);
    inputs_ = {output_};
    if (!identity_ && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool dx_is_dy(int) const override { return identity_; }
  bool output_is_input() const override { return identity_; }
  void forward(Stream& stream) override { apply(args_.x[0], args_.y, stream); }
  void backward(int, Stream& stream) override { apply(args_.dy, args_.dx[0], stream); }

 private:
  void apply(const Tensor& from, const Tensor& to, Stream& stream) const {
    const int64_t elements = output_.shape.elements();
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Scale<T> op{from.as<T>(), to.as<T>(), args_.scalars, elements / output_.shape.n, draw_};
      for_each<kPack<T>>(op, elements, aligned<kPack<T>>(op.x, op.y), stream);
    });
  }

  RowDraw draw_;
  bool identity_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const StochasticDepth& layer, const CudaCompile& compile) {
  return std::make_unique<StochasticDepthCuda>(layer, compile.request);
}

}  // namespace convoy
