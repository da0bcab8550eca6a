// The instructions that only the card has; tests/cuda_on_cpu/ has a file of this name with plain C++ in their place.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace convoy {

__device__ inline float bf16_bits_to_float(uint16_t bits) { return __bfloat162float(__ushort_as_bfloat16(bits)); }
__device__ inline uint16_t float_to_bf16_bits(float x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
__device__ inline float f16_bits_to_float(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
__device__ inline uint16_t float_to_f16_bits(float x) { return __half_as_ushort(__float2half_rn(x)); }

// One clock for the whole card; some move it on only once a microsecond.
__device__ inline int64_t clock_nanoseconds() {
  int64_t now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now)::"memory");
  return now;
}

// Both addresses are multiples of 16; `to` is device memory.  Of a loop that was unrolled by hand the compiler makes
// four stores instead, and the card four requests.
__device__ inline void store_16_bytes(void* to, const void* bytes) {
  const uint4 words = *static_cast<const uint4*>(bytes);
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(words.x), "r"(words.y), "r"(words.z),
               "r"(words.w)
               : "memory");
}

}  // namespace convoy
