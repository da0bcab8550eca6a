#include <nccl.h>

#include "core/device/cuda_factory.h"

int convoy_nccl_version() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}
