#include "layers/add.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

constexpr int kMostTerms = 64;  // of one pass; their addresses are arguments of the kernel

// y = before + x[0] + x[1] + …, in this order in f32, rounded once.  kTerms 0: as many as `terms` says.
template <class T, class Y, int kTerms>
struct Sum {
  const T* x[kTerms == 0 ? kMostTerms : kTerms];
  const float* before;  // null: 0
  Y* y;
  int64_t terms;
  template <int N>
  __device__ void run(int64_t i) const {
    Pack<float, N> total{};
    if (before != nullptr) total = load<N>(before + i);
    for (int64_t term = 0; term < (kTerms == 0 ? terms : kTerms); ++term) {
      const Pack<T, N> pack = load<N>(x[term] + i);
      for (int k = 0; k < N; ++k)
        total.at[k] = term == 0 && before == nullptr ? to_float(pack.at[k]) : total.at[k] + to_float(pack.at[k]);
    }
    Pack<Y, N> rounded;
    for (int k = 0; k < N; ++k) rounded.at[k] = from_float<Y>(total.at[k]);
    store(y + i, rounded);
  }
};

template <class T, class Y, int kTerms>
void add(std::span<const Tensor> x, const float* before, Y* y, int64_t elements, Stream& stream) {
  constexpr int kN = std::min(kPack<T>, kPack<Y>);
  Sum<T, Y, kTerms> op{{}, before, y, static_cast<int64_t>(x.size())};
  bool in_packs = aligned<kN>(before, y);
  for (size_t i = 0; i < x.size(); ++i) {
    op.x[i] = x[i].as<T>();
    in_packs = in_packs && aligned<kN>(op.x[i]);
  }
  for_each<kN>(op, elements, in_packs, stream);
}

class SumCuda : public CudaKernel {
 public:
  SumCuda(const ValueType& type, int terms) {
    CHECK(terms >= 1);
    output_ = activation_cuda(type);
    inputs_.assign(static_cast<size_t>(terms), output_);
    if (terms > kMostTerms) workspace_bytes_ = type.shape.elements() * size_of(Dtype::kF32);
  }
  bool dx_is_dy(int) const override { return true; }

  // More terms than one pass can take are put together in f32.
  void forward(Stream& stream) override {
    with_elements_cuda(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const int64_t elements = output_.shape.elements();
      auto* const together = static_cast<float*>(args_.workspace);
      const float* before = nullptr;
      std::span<const Tensor> x = args_.x;
      for (; x.size() > kMostTerms; x = x.subspan(kMostTerms), before = together) {
        add<T, float, 0>(x.first(kMostTerms), before, together, elements, stream);
      }
      if (x.size() == 2 && before == nullptr) {
        add<T, T, 2>(x, before, args_.y.as<T>(), elements, stream);
      } else {
        add<T, T, 0>(x, before, args_.y.as<T>(), elements, stream);
      }
    });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_sum(const ValueType& type, int terms) {
  return std::make_unique<SumCuda>(type, terms);
}

// The gradient of each input is dy itself.
std::unique_ptr<Kernel> make_cuda_kernel(const Add&, const CudaCompile& compile) {
  const std::vector<ValueType>& inputs = compile.request.inputs;
  return make_cuda_sum(inputs[0], static_cast<int>(inputs.size()));
}

}  // namespace convoy
