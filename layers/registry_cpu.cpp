#include <algorithm>
#include <cstdio>

#include <oneapi/dnnl/dnnl.hpp>

#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/class_losses.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/convert_cpu.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/multiply.h"
#include "layers/normalize.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/registry.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"

namespace convoy {
namespace {

struct Entry {
  const char* type;
  std::unique_ptr<Kernel> (*make)(const Layer&, const CompileRequest&);
};

template <class T>
constexpr Entry entry(const char* type = T::kType) {
  return {type, [](const Layer& layer, const CompileRequest& request) {
            return make_cpu_kernel(dynamic_cast<const T&>(layer), request);
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

class CpuKernels : public KernelFactory {
 public:
  std::unique_ptr<Kernel> make(const Layer& layer, const CompileRequest& request) const override {
    const std::string type = layer.type();
    const auto* const found = std::ranges::find_if(kEntries, [&](const Entry& it) { return type == it.type; });
    if (found == std::end(kEntries)) throw Error(ExitCode::kConfig, "the CPU has no kernel for '" + type + "' layers");
    return found->make(layer, request);
  }
  std::unique_ptr<Kernel> make_conversion(const ValueType& from, const ValueType& to, bool wants_dx) const override {
    return make_cpu_conversion(from, to, wants_dx);
  }
  std::unique_ptr<Kernel> make_sum(const ValueType& type, int terms) const override {
    return make_cpu_sum(type, terms);
  }
};

}  // namespace

std::unique_ptr<KernelFactory> make_cpu_kernels() { return std::make_unique<CpuKernels>(); }

std::string cpu_kernel_library() {
  const dnnl_version_t& version = *dnnl_version();
  char isa[16];
  std::snprintf(isa, sizeof isa, "0x%x", static_cast<unsigned>(dnnl::get_effective_cpu_isa()));
  return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
         std::to_string(version.patch) + ", isa " + isa;
}

}  // namespace convoy
