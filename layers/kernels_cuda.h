// All kernels of the GPU, by layer, and the parts that they lend each other; for *_cuda.* files.
#pragma once

#include "layers/activation.h"
#include "layers/adaptive_pool.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/class_losses.h"
#include "layers/concat.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/group_norm.h"
#include "layers/linear.h"
#include "layers/lrn.h"
#include "layers/multiply.h"
#include "layers/normalize.h"
#include "layers/pad.h"
#include "layers/pool.h"
#include "layers/registry.h"
#include "layers/relu.h"
#include "layers/softmax.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/stochastic_depth.h"
#include "layers/upsample.h"

namespace convoy {

// layers/libraries_cuda.h: cuDNN and cuBLASLt
class Convolution;
class CudaLibraries;
struct ConvolutionSpec;

struct CudaCompile {
  const CompileRequest& request;
  const CudaKernelOptions& options;
  CudaLibraries& libraries;
};

std::unique_ptr<Kernel> make_cuda_kernel(const Activation& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const AdaptiveAveragePool& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Add& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const AveragePool& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const BatchNorm& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const BinaryCrossEntropy& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Concat& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Conv2d& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const ConvTranspose& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Distillation& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Dropout& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Flatten& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const GlobalAverage& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const GlobalMax& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const GroupNorm& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const LayerNorm& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Linear& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Lrn& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const MaxPool& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const MeanSquaredError& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Multiply& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Normalize& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Pad& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Relu& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Softmax& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const SoftmaxCrossEntropy& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const StochasticDepth& layer, const CudaCompile& compile);
std::unique_ptr<Kernel> make_cuda_kernel(const Upsample& layer, const CudaCompile& compile);

// See KernelFactory.
std::unique_ptr<Kernel> make_cuda_conversion(const ValueType& from, const ValueType& to, bool wants_dx);
std::unique_ptr<Kernel> make_cuda_sum(const ValueType& type, int terms);

// dx = dy where y > 0, else 0: the gradient of a relu that gave y.
void relu_gradient_cuda(const ValueType& type, const void* y, const void* dy, void* dx, Stream& stream);

// sums[c] = Σ over all rows of dy [rows, channels], in f32, in a fixed order: the gradient of a bias.  Where `gate` is
// not null, only where gate > 0, and that masked dy is also written to `masked`, if that is not null: one pass for the
// backward of a relu and a bias.  `workspace` has column_sums_workspace() bytes.
int64_t column_sums_workspace(int64_t rows, int64_t channels);
void column_sums_cuda(Dtype dtype, int64_t rows, int64_t channels, const void* dy, const void* gate, void* masked,
                      float* sums, void* workspace, Stream& stream);

// means[g][c] = the mean over rows of x [groups, rows, channels], of the same type and summed in f32 in a fixed order.
void row_means_cuda(Dtype dtype, int64_t groups, int64_t rows, int64_t channels, const void* x, void* means,
                    Stream& stream);

// Own kernels for any pass, where the libraries have none; the result of kBackwardWeights is f32.
std::unique_ptr<Convolution> make_direct_convolution(const ConvolutionSpec& spec);

}  // namespace convoy
