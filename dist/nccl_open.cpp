#include "core/device/cuda_factory.h"
#include "dist/nccl.h"

namespace convoy {

std::unique_ptr<Communicator> make_nccl_communicator(const CudaLibrary& library, Communicator& host, Device& device,
                                                     const NcclOptions& options) {
  return std::unique_ptr<Communicator>(
      library.function<decltype(convoy_cuda_make_nccl)>("convoy_cuda_make_nccl")(host, device, options));
}

}  // namespace convoy
