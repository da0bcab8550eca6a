// What the optimizers' kernels have in common; for flat_ops_cuda.cu and layerwise_cuda.cu.
#pragma once

#include "core/device/for_each_cuda.h"
#include "core/train/flat_ops.h"

namespace convoy {

constexpr int kN = kPack<float>;  // of a pack; also of shadows with 16 bits

__device__ inline bool skips(const UpdateControl& it) {
  return it.control[kNonFinite] > 0 || it.control[kOverflow] > 0;
}

// What all rules have in common; S: the type of the shadow.
template <class S>
struct Update {
  float* value;
  const float* gradient;
  S* shadow;  // null: there is none
  UpdateControl control;
  float decay;

  float rate = 0, factor = 1, largest = 0;  // of the gradients

  // False where there is nothing to do.
  __device__ bool start(float learning_rate_scale) {
    if (skips(control)) return false;
    rate = control.scalars->learning_rate * learning_rate_scale;
    factor = 1 / control.loss_scale->scale * (control.clip == nullptr ? 1 : *control.clip);
    largest = control.largest > 0 ? control.largest : INFINITY;
    return true;
  }
  __device__ double rate_in_double(float learning_rate_scale) const {
    return static_cast<double>(control.scalars->learning_rate) * learning_rate_scale;
  }
  // The share of a value that decoupled decay leaves.
  __device__ double share_kept(float learning_rate_scale) const {
    return 1 - rate_in_double(learning_rate_scale) * decay;
  }
  __device__ float clipped(float g) const { return fminf(fmaxf(g * factor, -largest), largest); }
  template <int N>
  __device__ Pack<float, N> decayed(int64_t i, const Pack<float, N>& w) const {
    Pack<float, N> g = load<N>(gradient + i);
    for (int k = 0; k < N; ++k) g.at[k] = clipped(g.at[k]) + decay * w.at[k];
    return g;
  }
  template <int N>
  __device__ void write(int64_t i, const Pack<float, N>& w) const {
    store(value + i, w);
    if (shadow == nullptr) return;
    Pack<S, N> narrow;
    for (int k = 0; k < N; ++k) narrow.at[k] = from_float<S>(w.at[k]);
    store(shadow + i, narrow);
  }
};

template <class S>
Update<S> update_of(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control) {
  S* const shadow = static_cast<S*>(buffers.shadow);
  return {buffers.value + range.begin, buffers.gradient + range.begin,
          shadow == nullptr ? nullptr : shadow + range.begin, control, range.weight_decay};
}

// Adam's bias correction: what mean and variance are divided by.  Powers in f64 are dear: one thread's are enough.
struct Correction {
  double mean, variance;
};
__device__ inline Correction correction_of(const AdamOptions& options, const UpdateControl& control) {
  const auto step = static_cast<double>(options.steps_before + control.scalars->step + 1);
  return {1 - pow(static_cast<double>(options.beta1), step), 1 - pow(static_cast<double>(options.beta2), step)};
}

// ---- Norms, by numbers of blocks and threads that depend on the number of elements only, and so does the order of
// summing

constexpr int kNormBlocks = 256, kNormThreads = 256;  // of blocks, at most

// In device memory; used by one kernel after another.
struct NormScratch {
  double sums[2][kNormBlocks];
  double result;  // of Norms::finish()
};

// The sum over all threads of the block, in its thread 0.
__device__ inline double sum_over_block(double sum) {
  __shared__ double of_threads[kNormThreads];
  __syncthreads();  // the last sum was read
  of_threads[threadIdx.x] = sum;
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) of_threads[threadIdx.x] += of_threads[threadIdx.x + half];
  }
  return of_threads[0];
}

// Norms have  kCount;  start(), called by all threads;  at(i, terms): what is squared of element i.
template <class Norms>
__global__ void sums_of_squares_kernel(Norms norms, int64_t elements, NormScratch* scratch) {
  norms.start();
  double sums[Norms::kCount] = {};
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < elements; i += stride) {
    float terms[Norms::kCount];
    norms.at(i, terms);
    for (int k = 0; k < Norms::kCount; ++k) sums[k] += static_cast<double>(terms[k]) * terms[k];
  }
  for (int k = 0; k < Norms::kCount; ++k) {
    const double sum = sum_over_block(sums[k]);
    if (threadIdx.x == 0) scratch->sums[k][blockIdx.x] = sum;
  }
}

// result = finish(norms)
template <class Norms>
__global__ void finish_kernel(Norms norms, int blocks, NormScratch* scratch) {
  double found[Norms::kCount];
  for (int k = 0; k < Norms::kCount; ++k) {
    found[k] = sqrt(sum_over_block(static_cast<int>(threadIdx.x) < blocks ? scratch->sums[k][threadIdx.x] : 0));
  }
  if (threadIdx.x == 0) scratch->result = norms.finish(found);
}

template <class Norms>
void take_norms(const Norms& norms, int64_t elements, NormScratch* scratch, Stream& stream) {
  constexpr int64_t kOfBlock = 4096;  // elements
  const auto blocks = static_cast<int>(std::clamp<int64_t>((elements + kOfBlock - 1) / kOfBlock, 1, kNormBlocks));
  launch(sums_of_squares_kernel<Norms>, static_cast<unsigned>(blocks), kNormThreads, stream, norms, elements, scratch);
  launch(finish_kernel<Norms>, 1, kNormThreads, stream, norms, blocks, scratch);
}

// ---- layerwise_cuda.cu; see FlatOps

void lars_cuda(const UpdateBuffers& buffers, float* velocity, const UpdateRange& range, const LarsOptions& options,
               const UpdateControl& control, NormScratch* scratch, Stream& stream);
void lamb_cuda(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
               const AdamOptions& options, const UpdateControl& control, NormScratch* scratch, Stream& stream);
void muon_direction_cuda(const UpdateBuffers& buffers, float* momentum, float* direction, const UpdateRange& range,
                         const MuonOptions& options, const UpdateControl& control, NormScratch* scratch,
                         Stream& stream);
void muon_cuda(const UpdateBuffers& buffers, const float* direction, const UpdateRange& range,
               const MuonOptions& options, const UpdateControl& control, NormScratch* scratch, Stream& stream);

}  // namespace convoy
