// What libconvoy_cuda.so exports.  A C interface: plain numbers and text cross it, never exceptions or C++ types.
// Only core/device/cuda_library.cpp, which opens the library, and the files that define these functions include it.
#pragma once

#define CONVOY_EXPORT extern "C" __attribute__((visibility("default")))

// Versions as the libraries number them: CUDA runtime 13000, cuDNN 91900, NCCL 22809.
CONVOY_EXPORT int convoy_cuda_runtime_version();
CONVOY_EXPORT int convoy_cudnn_version();
CONVOY_EXPORT int convoy_nccl_version();

// Sets `count` and returns nullptr, or returns the driver's reason (static text) why there is no device.
CONVOY_EXPORT const char* convoy_cuda_device_count(int* count);
