#include "core/device/cuda_check.h"
#include "core/device/cuda_factory.h"
#include "core/device/device_cuda.h"

const char* convoy_cuda_build() { return CONVOY_CUDA_BUILD; }

int convoy_cuda_runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

const char* convoy_cuda_device_count(int* count) {
  const cudaError_t status = cudaGetDeviceCount(count);
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

convoy::Device* convoy_cuda_make_device(int index) { return convoy::cuda_device(index).release(); }
