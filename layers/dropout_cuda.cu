// Keeps no mask: backward draws it again from the same scalars, which is exact, and cheaper than to write and read a
// byte per element where memory is what the kernel waits for.
#include "layers/dropout.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kQuad = 4;  // elements that one draw serves

// y = x · scale where the draw keeps it, else 0: forward and backward alike.  Item i is quad i of all rows.
template <class T, bool kInPacks>
struct Drop {
  const T* x;
  T* y;
  const StepScalars* scalars;
  int64_t row_elements, row_quads;
  uint32_t id, threshold;
  float scale;

  uint64_t key = 0;
  int64_t step = 0, first_row = 0;

  __device__ bool start() {
    key = random_key(RandomUse::kDropout, scalars->seed);
    step = scalars->step;
    first_row = scalars->first_row;
    return true;
  }

  template <int>
  __device__ void run(int64_t i) const {
    const int64_t row = i / row_quads, quad = i % row_quads;
    const Random4 words = philox(key, dropout_counter(id, step, first_row + row, quad));
    const int64_t at = row * row_elements + quad * kQuad;
    const auto drop = [&](T element, uint32_t word) {
      return word >= threshold ? from_float<T>(to_float(element) * scale) : T{};
    };
    if constexpr (kInPacks) {
      Pack<T, kQuad> pack = load<kQuad>(x + at);
      for (int k = 0; k < kQuad; ++k) pack.at[k] = drop(pack.at[k], words[k]);
      store(y + at, pack);
    } else {
      const int64_t left = row_elements - quad * kQuad;
      for (int k = 0; k < kQuad; ++k) {
        if (k < left) y[at + k] = drop(x[at + k], words[k]);
      }
    }
  }
};

class DropoutCuda : public CudaKernel {
 public:
  DropoutCuda(const Dropout& layer, const CompileRequest& request)
      : id_(layer.id()),
        threshold_(dropout_threshold(layer.rate())),
        scale_(1.0F / (1.0F - layer.rate())),
        identity_(request.mode == Mode::kEval || layer.rate() == 0) {
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
    const int64_t row_elements = output_.shape.elements() / output_.shape.n;
    const int64_t row_quads = (row_elements + kQuad - 1) / kQuad;
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const auto run = [&](auto in_packs) {
        const Drop<T, in_packs> op{from.as<T>(), to.as<T>(), args_.scalars, row_elements,
                                   row_quads,    id_,        threshold_,    scale_};
        for_each<1>(op, output_.shape.n * row_quads, true, stream);
      };
      if (row_elements % kQuad == 0 && aligned<kQuad>(from.as<T>(), to.as<T>())) {
        run(std::true_type{});
      } else {
        run(std::false_type{});
      }
    });
  }

  uint32_t id_, threshold_;
  float scale_;
  bool identity_;
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Dropout& layer, const CudaCompile& compile) {
  return std::make_unique<DropoutCuda>(layer, compile.request);
}

}  // namespace convoy
