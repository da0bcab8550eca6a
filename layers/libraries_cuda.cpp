#include "layers/libraries_cuda.h"

#include "core/device/handle.h"
#include "layers/engines_cuda.h"

namespace convoy {
namespace {

[[noreturn]] void fail(const char* library, const char* what, bool memory, const std::source_location& where) {
  throw Error(memory ? ExitCode::kOutOfMemory : ExitCode::kUnavailable,
              std::string(library) + ": " + what + " (in " + where.function_name() + ", " + where.file_name() + ":" +
                  std::to_string(where.line()) + ")");
}

class Libraries : public CudaLibraries {
 public:
  Libraries(Device& device, const CudaKernelOptions& options) : device_(device), options_(options) {
    check(cudnnCreate(cudnn_.out()));
    check(cublasLtCreate(cublaslt_.out()));
  }

  std::unique_ptr<Convolution> convolution(const ConvolutionSpec& spec) override {
    const EngineRequest request{spec, options_, device_};
    const bool product = is_product(spec), linear = product && spec.x.h == 1 && spec.x.w == 1;
    std::unique_ptr<Convolution> result;
    if (linear) result = cublaslt_convolution(cublaslt_.get(), request);
    if (!result) result = cudnn_convolution(cudnn_.get(), request);
    if (!result && product && !linear) result = cublaslt_convolution(cublaslt_.get(), request);
    return result;
  }

 private:
  Device& device_;
  const CudaKernelOptions options_;
  Handle<cudnnHandle_t, cudnnDestroy> cudnn_;
  Handle<cublasLtHandle_t, cublasLtDestroy> cublaslt_;
};

bool is_point(const WindowAxis& axis) {
  return axis.kernel == 1 && axis.stride == 1 && axis.low == 0 && axis.high == 0;
}

}  // namespace

bool is_product(const ConvolutionSpec& spec) {
  return spec.groups == 1 && is_point(spec.axes.h) && is_point(spec.axes.w);
}

void check(cudnnStatus_t status, std::source_location where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  fail("cuDNN", cudnnGetErrorString(status), status == CUDNN_STATUS_ALLOC_FAILED, where);
}

void check(cublasStatus_t status, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail("cuBLASLt", cublasLtGetStatusString(status), status == CUBLAS_STATUS_ALLOC_FAILED, where);
}

std::unique_ptr<CudaLibraries> make_cuda_libraries(Device& device, const CudaKernelOptions& options) {
  return std::make_unique<Libraries>(device, options);
}

}  // namespace convoy
