#include "layers/registry_cuda.h"

#include <algorithm>

#include "layers/kernels_cuda.h"
#include "layers/libraries_cuda.h"

namespace convoy {
namespace {

struct Entry {
  const char* type;
  std::unique_ptr<Kernel> (*make)(const Layer&, const CudaCompile&);
};

template <class T>
constexpr Entry entry(const char* type = T::kType) {
  return {type, [](const Layer& layer, const CudaCompile& compile) {
            return make_cuda_kernel(dynamic_cast<const T&>(layer), compile);
          }};
}

// clang-format off
constexpr Entry kEntries[] = {
    entry<AdaptiveAveragePool>(),
    entry<Add>(),
    entry<AveragePool>(),
    entry<BatchNorm>(),
    entry<BinaryCrossEntropy>(),
    entry<Concat>(),
    entry<Conv2d>(),
    entry<ConvTranspose>(),
    entry<Distillation>(),
    entry<Dropout>(),
    entry<Activation>(EluFunction::kType),
    entry<Flatten>(),
    entry<Activation>(GeluFunction::kType),
    entry<GlobalAverage>(),
    entry<GlobalMax>(),
    entry<GroupNorm>(),
    entry<LayerNorm>(),
    entry<Activation>(HardSigmoidFunction::kType),
    entry<Activation>(HardSwishFunction::kType),
    entry<Activation>(LeakyReluFunction::kType),
    entry<Linear>(),
    entry<Lrn>(),
    entry<MaxPool>(),
    entry<MeanSquaredError>(),
    entry<Multiply>(),
    entry<Normalize>(),
    entry<Pad>(),
    entry<Relu>(),
    entry<Activation>(Relu6Function::kType),
    entry<Activation>(SigmoidFunction::kType),
    entry<Activation>(SiluFunction::kType),
    entry<Softmax>(),
    entry<SoftmaxCrossEntropy>(),
    entry<StochasticDepth>(),
    entry<Activation>(TanhFunction::kType),
    entry<Upsample>(),
};
// clang-format on

class CudaKernels : public KernelFactory {
 public:
  CudaKernels(Device& device, const CudaKernelOptions& options)
      : options_(options), libraries_(make_cuda_libraries(device, options)) {}
  std::unique_ptr<Kernel> make(const Layer& layer, const CompileRequest& request) const override {
    const std::string type = layer.type();
    const auto* const found = std::ranges::find_if(kEntries, [&](const Entry& it) { return type == it.type; });
    if (found == std::end(kEntries)) throw Error(ExitCode::kConfig, "CUDA has no kernel for '" + type + "' layers");
    return found->make(layer, {request, options_, *libraries_});
  }
  std::unique_ptr<Kernel> make_conversion(const ValueType& from, const ValueType& to, bool wants_dx) const override {
    return make_cuda_conversion(from, to, wants_dx);
  }
  std::unique_ptr<Kernel> make_sum(const ValueType& type, int terms) const override {
    return make_cuda_sum(type, terms);
  }

 private:
  const CudaKernelOptions options_;
  const std::unique_ptr<CudaLibraries> libraries_;
};

}  // namespace

std::unique_ptr<KernelFactory> cuda_kernels(Device& device, const CudaKernelOptions& options) {
  return std::make_unique<CudaKernels>(device, options);
}

}  // namespace convoy
