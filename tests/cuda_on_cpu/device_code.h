// What g++ needs to compile and run device code: qualifiers, built-in variables, barriers, shuffles.
#pragma once

#include <math.h>  // isfinite and others as device code calls them

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static thread_local  // one block at a time runs on a thread of the host

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  // NOLINTNEXTLINE(google-explicit-constructor): CUDA has it so, and <<<64, 128>>> needs it
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline thread_local uint3 threadIdx{}, blockIdx{};
inline thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// All threads of the block meet.  One that has ended never comes, and that is a fault.
void __syncthreads();

namespace convoy::cuda_on_cpu {

enum class WarpOperation : uint8_t { kSync, kShuffle, kBallot };
// All lanes of `mask` meet.  A shuffle gives the value of lane `source`, a ballot one bit for each value that is not 0.
uint64_t meet_lanes(WarpOperation operation, unsigned mask, uint64_t value, int source);
int lane();

template <class T>
T shuffle(unsigned mask, T x, int source) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &x, sizeof x);
  bits = meet_lanes(WarpOperation::kShuffle, mask, bits, source);
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace convoy::cuda_on_cpu

inline void __syncwarp(unsigned mask = 0xffffffffU) {
  convoy::cuda_on_cpu::meet_lanes(convoy::cuda_on_cpu::WarpOperation::kSync, mask, 0, 0);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const uint64_t bit = predicate != 0 ? 1 : 0;
  return static_cast<unsigned>(
      convoy::cuda_on_cpu::meet_lanes(convoy::cuda_on_cpu::WarpOperation::kBallot, mask, bit, 0));
}

// In segments of `width` lanes; where the source lies outside, a lane gets its own value.
template <class T>
T __shfl_sync(unsigned mask, T x, int source, int width = warpSize) {
  const int first = convoy::cuda_on_cpu::lane() & -width;
  return convoy::cuda_on_cpu::shuffle(mask, x, first + (source & (width - 1)));
}
template <class T>
T __shfl_up_sync(unsigned mask, T x, unsigned delta, int width = warpSize) {
  const int lane = convoy::cuda_on_cpu::lane(), source = lane - static_cast<int>(delta);
  return convoy::cuda_on_cpu::shuffle(mask, x, source < (lane & -width) ? lane : source);
}
template <class T>
T __shfl_down_sync(unsigned mask, T x, unsigned delta, int width = warpSize) {
  const int lane = convoy::cuda_on_cpu::lane(), source = lane + static_cast<int>(delta);
  return convoy::cuda_on_cpu::shuffle(mask, x, source >= (lane & -width) + width ? lane : source);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T x, int lanes, int width = warpSize) {
  const int lane = convoy::cuda_on_cpu::lane(), source = lane ^ lanes;
  return convoy::cuda_on_cpu::shuffle(mask, x, source >= (lane & -width) + width ? lane : source);
}

inline float rsqrtf(float x) { return 1 / sqrtf(x); }

// Blocks run one after another, and a fibre only stops where it waits.
template <class T>
T atomicAdd(T* to, T x) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>, "sums of floats have a fixed order");
  return __atomic_fetch_add(to, x, __ATOMIC_RELAXED);
}
