// Passes of a linear layer, which cuBLASLt computes: forward y = x wᵀ, data dx = dy w, weights dw = dyᵀ x.
#include "layers/libraries_cuda.h"
#include "layers/registry_cuda.h"

namespace convoy {
namespace {

using Pass = ConvolutionSpec::Pass;

Shape matrix(int rows, int columns) { return {rows, 1, 1, columns}; }

ConvolutionSpec pass_of(const ProductSpec& spec) {
  CHECK(!(spec.transposes_a && spec.transposes_b));
  const auto [rows, inner, columns, transposes_a, transposes_b] = spec;
  constexpr WindowAxis kPoint{1, 1, 1, 1, 1, 0, 0};
  ConvolutionSpec pass;
  pass.axes = {kPoint, kPoint};
  if (transposes_b) {
    pass.pass = Pass::kForward;
    pass.x = matrix(rows, inner), pass.w = matrix(columns, inner), pass.y = matrix(rows, columns);
  } else if (transposes_a) {
    pass.pass = Pass::kBackwardWeights;
    pass.x = matrix(inner, columns), pass.w = matrix(rows, columns), pass.y = matrix(inner, rows);
  } else {
    pass.pass = Pass::kBackwardData;
    pass.x = matrix(rows, columns), pass.w = matrix(inner, columns), pass.y = matrix(rows, inner);
  }
  return pass;
}

class ProductCuda : public MatrixProduct {
 public:
  ProductCuda(std::unique_ptr<Convolution> pass, bool swaps) : pass_(std::move(pass)), swaps_(swaps) {}
  int64_t workspace_bytes() const override { return pass_->workspace_bytes(); }
  void run(const float* a, const float* b, float* c, void* workspace, Stream& stream) override {
    pass_->run(swaps_ ? b : a, swaps_ ? a : b, nullptr, c, workspace, stream);
  }

 private:
  std::unique_ptr<Convolution> pass_;
  const bool swaps_;
};

class CudaProducts : public MatrixProducts {
 public:
  explicit CudaProducts(std::unique_ptr<CudaLibraries> libraries) : libraries_(std::move(libraries)) {}
  std::unique_ptr<MatrixProduct> make(const ProductSpec& spec) const override {
    std::unique_ptr<Convolution> pass = libraries_->convolution(pass_of(spec));
    if (pass == nullptr) {
      throw Error(ExitCode::kUnavailable, "cuBLASLt has no product of f32 matrices " + std::to_string(spec.rows) +
                                              " x " + std::to_string(spec.inner) + " x " +
                                              std::to_string(spec.columns));
    }
    return std::make_unique<ProductCuda>(std::move(pass), spec.transposes_a);  // dw is of x, then dy
  }

 private:
  const std::unique_ptr<CudaLibraries> libraries_;
};

}  // namespace

std::unique_ptr<MatrixProducts> cuda_products(Device& device, const CudaKernelOptions& options) {
  return std::make_unique<CudaProducts>(make_cuda_libraries(device, options));
}

}  // namespace convoy
