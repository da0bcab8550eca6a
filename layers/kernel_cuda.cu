#include "layers/kernel_cuda.h"

namespace convoy {

ValueType activation_cuda(const ValueType& type) {
  if (type.dtype == Dtype::kF32 || type.dtype == Dtype::kBF16 || type.dtype == Dtype::kF16) {
    return {type.shape, type.dtype};
  }
  throw Error(ExitCode::kConfig, std::string("expected f32, bf16 or f16 activations, found ") + to_string(type.dtype) +
                                     "; images need a normalize layer first");
}

}  // namespace convoy
