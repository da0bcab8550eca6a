// Run-time choice of the instruction set for Convoy's own CPU loops.
//
//   simd([&]() CONVOY_INLINE { for (int64_t i = 0; i < n; ++i) y[i] = x[i] > 0 ? x[i] : 0; });
//
// compiles the loop three times (baseline x86-64 or arm64, AVX2, AVX-512) and runs the best one that this processor
// has.  The build uses -ffp-contract=off and no fast-math, so all levels give the same bits.
#pragma once

#define CONVOY_INLINE __attribute__((always_inline))

namespace convoy {

enum class SimdLevel { kBaseline, kAvx2, kAvx512 };

// What the processor supports, lowered by the environment variable CONVOY_SIMD=baseline|avx2|avx512 (for tests and to
// compare machines).  Decided once.
SimdLevel simd_level();
const char* to_string(SimdLevel level);

#if defined(__x86_64__)
template <class Body>
__attribute__((target("avx2"), noinline)) void simd_avx2(Body& body) {
  body();
}
template <class Body>
__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"), noinline)) void simd_avx512(
    Body& body) {
  body();
}
#endif

// Requires: body is marked CONVOY_INLINE, or it is compiled for the baseline only.
template <class Body>
void simd(Body body, SimdLevel level = simd_level()) {
#if defined(__x86_64__)
  if (level == SimdLevel::kAvx512) return simd_avx512(body);
  if (level == SimdLevel::kAvx2) return simd_avx2(body);
#endif
  (void)level;
  body();
}

}  // namespace convoy
