#include "core/device/cuda_factory.h"
#include "core/train/flat_ops.h"

namespace convoy {

std::unique_ptr<FlatOps> make_cuda_flat_ops(const CudaLibrary& library) {
  return std::unique_ptr<FlatOps>(library.function<decltype(convoy_cuda_make_flat_ops)>("convoy_cuda_make_flat_ops")());
}

}  // namespace convoy
