// Convolutions that are products of matrices, with cuBLASLt.  It counts rows first, so [rows, C] in memory is its C x
// rows matrix.  In its words: forward y = wᵀ·x, data dx = w·dy, weights dw = x·dyᵀ.
#include <utility>

#include "core/device/stream_cuda.h"
#include "layers/engines_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;
using Operation = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Matrix = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

constexpr int64_t kWorkspace = int64_t{32} << 20;  // what NVIDIA recommends for Hopper

cudaDataType_t data_type(Dtype dtype) {
  if (dtype == Dtype::kF32) return CUDA_R_32F;
  return dtype == Dtype::kBF16 ? CUDA_R_16BF : CUDA_R_16F;
}

Matrix matrix(const Shape& shape, Dtype dtype) {
  Matrix result;
  check(cublasLtMatrixLayoutCreate(result.out(), data_type(dtype), static_cast<uint64_t>(shape.c),
                                   static_cast<uint64_t>(shape.elements() / shape.c), shape.c));
  return result;
}

template <class T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t attribute, T value) {
  check(cublasLtMatmulDescSetAttribute(operation.get(), attribute, &value, sizeof value));
}

Operation operation(const ConvolutionSpec& spec, bool tf32) {
  Operation result;
  const bool fast = tf32 && spec.dtype == Dtype::kF32;
  check(cublasLtMatmulDescCreate(result.out(), fast ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
  set(result, CUBLASLT_MATMUL_DESC_TRANSA, spec.pass == Pass::kForward ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(result, CUBLASLT_MATMUL_DESC_TRANSB, spec.pass == Pass::kBackwardWeights ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (spec.bias) {
    set(result, CUBLASLT_MATMUL_DESC_EPILOGUE, spec.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
    set(result, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(spec.dtype));
    // Engines are chosen by the alignment of this address; run() sets the real one.
    set(result, CUBLASLT_MATMUL_DESC_BIAS_POINTER, reinterpret_cast<const void*>(uintptr_t{256}));
  } else if (spec.relu) {
    set(result, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU);
  }
  return result;
}

class Product : public Convolution {
 public:
  Product(cublasLtHandle_t handle, const ConvolutionSpec& spec, bool tf32)
      : handle_(handle),
        operation_(operation(spec, tf32)),
        bias_(spec.bias),
        // dw is x · dyᵀ, in the order of run(); the other passes have w first.
        swapped_(spec.pass != Pass::kBackwardWeights),
        a_(matrix(swapped_ ? spec.w : spec.x, spec.dtype)),
        b_(matrix(spec.pass == Pass::kForward ? spec.x : spec.y, spec.dtype)),
        result_(matrix(result_shape(spec), spec.result)) {}

  // Engines that fit, those that should be fast first.
  std::vector<cublasLtMatmulHeuristicResult_t> candidates(int most) const {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(preference.out()));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kWorkspace});
    // Parts of a sum are kept in f32 and added in a fixed order.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<size_t>(most));
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle_, operation_.get(), a_.get(), b_.get(), result_.get(), result_.get(),
                                       preference.get(), most, found.data(), &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED)
      count = 0;
    else
      check(status);
    found.resize(static_cast<size_t>(count));
    std::erase_if(found, [](const auto& it) { return it.state != CUBLAS_STATUS_SUCCESS; });
    return found;
  }
  void choose(const cublasLtMatmulHeuristicResult_t& candidate) { chosen_ = candidate; }

  int64_t workspace_bytes() const override { return static_cast<int64_t>(chosen_.workspaceSize); }
  std::string engine() const override {
    int32_t id = 0;
    check(cublasLtMatmulAlgoConfigGetAttribute(&chosen_.algo, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id, nullptr));
    return "cublaslt:algo" + std::to_string(id);
  }
  void run(const void* a, const void* b, const void* bias, void* result, void* workspace, Stream& stream) override {
    if (bias_) set(operation_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (swapped_) std::swap(a, b);
    const float one = 1, zero = 0;
    check(cublasLtMatmul(handle_, operation_.get(), &one, a, a_.get(), b, b_.get(), &zero, result, result_.get(),
                         result, result_.get(), &chosen_.algo, workspace, chosen_.workspaceSize, cuda_stream(stream)));
  }

 private:
  static const Shape& result_shape(const ConvolutionSpec& spec) {
    if (spec.pass == Pass::kForward) return spec.y;
    return spec.pass == Pass::kBackwardData ? spec.x : spec.w;
  }

  cublasLtHandle_t handle_;
  Operation operation_;
  bool bias_, swapped_;
  Matrix a_, b_, result_;
  cublasLtMatmulHeuristicResult_t chosen_{};
};

}  // namespace

Engines cublaslt_engines(cublasLtHandle_t handle, const ConvolutionSpec& spec, const CudaKernelOptions& options,
                         size_t most) {
  Engines found;
  for (const auto& candidate : Product(handle, spec, options.tf32).candidates(static_cast<int>(most))) {
    auto product = std::make_unique<Product>(handle, spec, options.tf32);
    product->choose(candidate);
    found.push_back(std::move(product));
  }
  return found;
}

}  // namespace convoy
