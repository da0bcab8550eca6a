#include <nccl.h>

#include "core/device/cuda_factory.h"
#include "dist/nccl_cuda.h"

convoy::Communicator* convoy_cuda_make_nccl(convoy::Communicator& host, convoy::Device& device,
                                            const convoy::NcclOptions& options) {
  return convoy::nccl_communicator(host, device, options).release();
}

int convoy_nccl_version() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}
