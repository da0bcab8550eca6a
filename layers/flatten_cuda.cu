#include "layers/flatten.h"

#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

class FlattenCuda : public CudaKernel {
 public:
  FlattenCuda(const Flatten& layer, const CompileRequest& request) {
    const ValueType& x = request.inputs[0];
    inputs_ = {{x.shape, x.dtype}};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype};
  }
  std::string engine() const override { return "view"; }
  bool output_is_input() const override { return true; }
  void forward(Stream&) override {}
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_kernel(const Flatten& layer, const CudaCompile& compile) {
  return std::make_unique<FlattenCuda>(layer, compile.request);
}

}  // namespace convoy
