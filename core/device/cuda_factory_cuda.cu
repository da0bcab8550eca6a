#include <cuda_runtime_api.h>

#include "core/device/cuda_factory.h"

int convoy_cuda_runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

const char* convoy_cuda_device_count(int* count) {
  const cudaError_t status = cudaGetDeviceCount(count);
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}
