// What libconvoy_cuda.so exports.  C names for functions of the same build on both sides: convoy_cuda_build() says so,
// and then C++ objects and exceptions may cross.
// Only the files that open the library and those that define these functions include it.
#pragma once

#include <cstdint>

#define CONVOY_EXPORT extern "C" __attribute__((visibility("default")))

// A text that is the same only for builds of the same interfaces.
#define CONVOY_CUDA_BUILD "convoy cuda 4"

namespace convoy {
class Allocator;
class Communicator;
class Device;
class FlatOps;
class KernelFactory;
class MatrixProducts;
struct CudaKernelOptions;
struct NcclOptions;
}  // namespace convoy

CONVOY_EXPORT const char* convoy_cuda_build();

// Versions as the libraries number them: CUDA runtime 13000, cuDNN 91900, NCCL 22809.
CONVOY_EXPORT int convoy_cuda_runtime_version();
CONVOY_EXPORT int convoy_cudnn_version();
CONVOY_EXPORT int convoy_nccl_version();

// Sets `count` and returns nullptr, or returns the driver's reason (static text) why there is no device.
CONVOY_EXPORT const char* convoy_cuda_device_count(int* count);

// Bytes of the current device that are taken, by anybody.
CONVOY_EXPORT int64_t convoy_cuda_memory_in_use();

// The caller owns what they return.  They throw Error.
CONVOY_EXPORT convoy::Device* convoy_cuda_make_device(int index);
CONVOY_EXPORT convoy::KernelFactory* convoy_cuda_make_kernels(convoy::Device&, const convoy::CudaKernelOptions&);
CONVOY_EXPORT convoy::MatrixProducts* convoy_cuda_make_products(convoy::Device&, const convoy::CudaKernelOptions&);
CONVOY_EXPORT convoy::FlatOps* convoy_cuda_make_flat_ops();
CONVOY_EXPORT convoy::Communicator* convoy_cuda_make_nccl(convoy::Communicator& host, convoy::Device&,
                                                          const convoy::NcclOptions&);
