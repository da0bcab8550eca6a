#include "layers/adaptive_pool.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

__device__ inline int count(WindowSpan span) { return span.end - span.begin; }

// to [N,h,w,C] = Σ from · weight over what each of its places covers of from [N,H,W,C]: forward with the weight of
// `to`, 1 over the elements of the place, and backward with that of `from`.
template <class T, bool kBackward>
struct Gather {
  const T* from;
  T* to;
  int64_t from_h, from_w, to_h, to_w, channels;
  template <int N>
  __device__ void run(int64_t i) const {
    const int64_t pixel = i / channels, channel = i % channels, image = pixel / (to_h * to_w);
    const WindowSpan rows = adaptive_span(pixel / to_w % to_h, to_h, from_h);
    const WindowSpan columns = adaptive_span(pixel % to_w, to_w, from_w);
    float sum[N] = {};
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      for (int64_t column = columns.begin; column < columns.end; ++column) {
        const int elements =
            kBackward ? count(adaptive_span(row, from_h, to_h)) * count(adaptive_span(column, from_w, to_w)) : 1;
        const float weight = 1.0F / static_cast<float>(elements);
        const Pack<T, N> pack = load<N>(from + ((image * from_h + row) * from_w + column) * channels + channel);
        for (int k = 0; k < N; ++k) sum[k] += to_float(pack.at[k]) * weight;
      }
    }
    const float weight = kBackward ? 1.0F : 1.0F / static_cast<float>(count(rows) * count(columns));
    Pack<T, N> pack;
    for (int k = 0; k < N; ++k) pack.at[k] = from_float<T>(sum[k] * weight);
    store(to + i, pack);
  }
};

class AdaptiveAveragePoolCuda : public CudaKernel {
 public:
  AdaptiveAveragePoolCuda(const AdaptiveAveragePool& layer, const CompileRequest& request) {
    const ValueType x = activation_cuda(request.inputs[0]);
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream& stream) override { gather<false>(args_.x[0], args_.y, inputs_[0].shape, output_.shape, stream); }
  void backward(int, Stream& stream) override {
    gather<true>(args_.dy, args_.dx[0], output_.shape, inputs_[0].shape, stream);
  }

 private:
  template <bool kBackward>
  void gather(const Tensor& from, const Tensor& to, const Shape& from_shape, const Shape& to_shape,
              Stream& stream) const {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Gather<T, kBackward> op{from.as<T>(), to.as<T>(), from_shape.h, from_shape.w,
                                    to_shape.h,   to_shape.w, to_shape.c};
      for_each<kPack<T>>(op, to_shape.elements(), packs<T>(to_shape.c, op.from, op.to), stream);
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const AdaptiveAveragePool& layer, const CudaCompile& compile) {
  return std::make_unique<AdaptiveAveragePoolCuda>(layer, compile.request);
}

}  // namespace convoy
