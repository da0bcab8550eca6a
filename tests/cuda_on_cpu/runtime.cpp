// Devices and memory.
#include <cstdlib>
#include <cstring>

#include "tests/cuda_on_cpu/state.h"

using namespace convoy::cuda_on_cpu;

namespace {

bool exists(int device) { return device >= 0 && device < machine().devices; }

}  // namespace

// ---- Devices

cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 13000, cudaSuccess; }
cudaError_t cudaDriverGetVersion(int* version) { return *version = machine().driver ? 13000 : 0, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call(__func__, [&] { return *count = machine().devices, cudaSuccess; });
}

cudaError_t cudaSetDevice(int device) {
  return call(__func__, [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    set_current(device);
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call(__func__, [&] { return *device = current_index(), cudaSuccess; });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call(__func__, [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    *properties = {"CUDA on the CPU", machine().memory, 9, 0, 4, 0, 16 + device, 0};
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties{};
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
  }
  return error;
}

cudaError_t cudaDeviceSynchronize() {
  return call(__func__, [&] {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    wait_for_all(device);
    return cudaSuccess;
  });
}

// ---- Memory

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  return call(__func__, [&] {
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    *available = device.memory.available();
    *total = device.memory.total();
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  return call(__func__, [&] {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    *data = device.memory.allocate(bytes);
    return *data == nullptr && bytes > 0 ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

// Waits for the device, as CUDA's does.
cudaError_t cudaFree(void* data) {
  return call(__func__, [&] {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    if (data == nullptr) return cudaSuccess;
    // The own device first: another may be in a collective, and it stays locked until the calling thread comes too.
    for (int i = 0; i < machine().devices; ++i) {
      Device& owner = device((current_index() + i) % machine().devices);
      const std::lock_guard lock(owner.mutex);
      if (!owner.memory.contains(data)) continue;
      wait_for_all(owner);
      return owner.memory.free(data) ? cudaSuccess : cudaErrorInvalidValue;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  return call(__func__, [&] {
    constexpr size_t kPage = 4096;
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    *data = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
    if (*data == nullptr) return cudaErrorMemoryAllocation;
    std::memset(*data, 0xff, bytes);
    add_pinned(*data, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* data) {
  return call(__func__, [&] {
    if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
    if (data == nullptr) return cudaSuccess;
    if (!remove_pinned(data)) return cudaErrorInvalidValue;
    Device& device = current_device();
    const std::lock_guard lock(device.mutex);
    wait_for_all(device);
    std::free(data);
    return cudaSuccess;
  });
}
