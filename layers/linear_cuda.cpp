#include "layers/linear.h"

#include "layers/kernels_cuda.h"

namespace convoy {

// A convolution of images of one pixel, which cuBLASLt computes: see layers/libraries_cuda.cpp.
std::unique_ptr<Kernel> make_cuda_kernel(const Linear& layer, const CudaCompile& compile) {
  Conv2dOptions options;
  options.filters = layer.options().units;
  options.bias = layer.options().bias;
  options.relu = layer.options().relu;
  return make_cuda_kernel(Conv2d(options), compile);
}

}  // namespace convoy
