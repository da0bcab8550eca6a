// Keeps nothing: backward draws again from the same scalars.
#include "layers/stochastic_depth.h"

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

class StochasticDepthCpu : public CpuKernel {
 public:
  StochasticDepthCpu(const StochasticDepth& layer, const CompileRequest& request)
      : draw_(layer), identity_(request.mode == Mode::kEval || layer.rate() == 0) {
    inputs_ = request.inputs;
    output_ = request.inputs[0];
    if (!identity_ && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool dx_is_dy(int) const override { return identity_; }
  bool output_is_input() const override { return identity_; }
  void forward(Stream&) override { apply(args_.x[0], args_.y); }
  void backward(int, Stream&) override { apply(args_.dy, args_.dx[0]); }

 private:
  void apply(const Tensor& from, const Tensor& to) const {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T* x = from.as<T>();
      T* y = to.as<T>();
      const int64_t elements = planes(output_).elements(), row_elements = elements / output_.shape.n;
      const RowDraw draw = draw_;
      const StepScalars* scalars = args_.scalars;
      for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
        for (int64_t stop = begin; begin < end; begin = stop) {
          const int64_t row = begin / row_elements;
          stop = (row + 1) * row_elements < end ? (row + 1) * row_elements : end;
          const float factor = draw.factor(*scalars, row);
#pragma omp simd
          for (int64_t i = begin; i < stop; ++i) {
            const float kept = load(x + i) * factor;
            store(y + i, factor != 0 ? kept : 0.0F);  // also where x is not finite
          }
        }
      });
    });
  }

  RowDraw draw_;
  bool identity_;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const StochasticDepth& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<StochasticDepthCpu>(layer, request);
}

}  // namespace convoy
