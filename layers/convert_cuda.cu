#include "core/device/copy_cuda.h"
#include "layers/kernel_cuda.h"
#include "layers/kernels_cuda.h"

namespace convoy {
namespace {

void convert(const Tensor& from, const Tensor& to, Stream& stream) {
  convert_cuda(to.data, to.type.dtype, from.data, from.type.dtype, from.type.shape.elements(), stream);
}

class ConversionCuda : public CudaKernel {
 public:
  ConversionCuda(const ValueType& from, const ValueType& to, bool wants_dx) {
    CHECK(from.shape == to.shape && from.layout.canonical() && to.layout.canonical());
    inputs_ = {activation_cuda(from)};
    output_ = activation_cuda(to);
    if (wants_dx) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream& stream) override { convert(args_.x[0], args_.y, stream); }
  void backward(int, Stream& stream) override { convert(args_.dy, args_.dx[0], stream); }
};

}  // namespace

std::unique_ptr<Kernel> make_cuda_conversion(const ValueType& from, const ValueType& to, bool wants_dx) {
  return std::make_unique<ConversionCuda>(from, to, wants_dx);
}

}  // namespace convoy
