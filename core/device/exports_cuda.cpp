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

int64_t convoy_cuda_memory_in_use() {
  size_t available = 0, total = 0;
  convoy::check(cudaMemGetInfo(&available, &total));
  return static_cast<int64_t>(total - available);
}

convoy::Device* convoy_cuda_make_device(int index) { return convoy::cuda_device(index).release(); }
