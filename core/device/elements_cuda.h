// What own kernels are written with: element types, vectors of them, sums over a warp and a block; for *_cuda.cu files.
//
// Arithmetic is in f32; f32, bf16 and f16 are how memory holds it.  Sums have a fixed order, so results come out the
// same bits in every run; no float is ever added atomically.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "core/base/error.h"
#include "core/device/ptx_cuda.h"
#include "core/device/types.h"

namespace convoy {

inline constexpr int kWarp = 32;

struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) { return bf16_bits_to_float(x.bits); }
__device__ inline float to_float(F16 x) { return f16_bits_to_float(x.bits); }

// To nearest even.
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline Bf16 from_float<Bf16>(float x) {
  return {float_to_bf16_bits(x)};
}
template <>
__device__ inline F16 from_float<F16>(float x) {
  return {float_to_f16_bits(x)};
}

// N elements that are read and written at once where their address is a multiple of their size.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};
template <class T>
inline constexpr int kPack = 16 / sizeof(T);  // elements of the widest access

// Whether [N,H,W,C] memory with `channels` channels from the given addresses on can be walked in packs of kPack<T>.
template <class T, class... Pointers>
bool packs(int64_t channels, const Pointers*... pointers) {
  return channels % kPack<T> == 0 && ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// The sum over the lanes of a warp, in every lane.  All lanes take part.
__device__ inline float warp_sum(float x) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(0xffffffffU, x, lanes);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffU, x, lanes));
  return x;
}

// The sum over the threads of a block, in every thread.  All threads take part; `scratch` [32] is shared memory, free
// again when the next barrier is passed.  Requires: blockDim.x is a multiple of 32 and the only dimension.
__device__ inline float block_sum(float x, float* scratch) {
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = x;
  __syncthreads();
  return warp_sum(threadIdx.x % kWarp < blockDim.x / kWarp ? scratch[threadIdx.x % kWarp] : 0.0F);
}

// Calls body with a value of the element type: with_elements_cuda(dtype, [&](auto zero) { using T = decltype(zero); …
// }).
template <class Body>
void with_elements_cuda(Dtype dtype, Body body) {
  switch (dtype) {
    case Dtype::kF32: return body(float{});
    case Dtype::kBF16: return body(Bf16{});
    case Dtype::kF16: return body(F16{});
    default: CHECK(false, "no activations of this type");
  }
}

}  // namespace convoy
