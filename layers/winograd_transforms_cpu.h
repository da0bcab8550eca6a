// The transforms of Winograd's algorithm F(4x4, 3x3) in one dimension, on eight channels at a time (winograd_cpu.cpp).
#pragma once

#if defined(__x86_64__)

#include <immintrin.h>

// Functions of vectors are written for AVX2 and FMA, whatever the build is for.
#define CONVOY_FMA __attribute__((target("avx2,fma")))
#define CONVOY_FMA_INLINE __attribute__((target("avx2,fma"), always_inline)) inline

namespace convoy::winograd {

using Vector = __m256;  // eight channels

CONVOY_FMA_INLINE Vector zero() { return _mm256_setzero_ps(); }
CONVOY_FMA_INLINE Vector broadcast(float value) { return _mm256_set1_ps(value); }
CONVOY_FMA_INLINE Vector read(const float* from) { return _mm256_loadu_ps(from); }
CONVOY_FMA_INLINE void write(float* to, Vector value) { _mm256_storeu_ps(to, value); }
// a + factor · b
CONVOY_FMA_INLINE Vector add_product(Vector a, float factor, Vector b) {
  return _mm256_fmadd_ps(broadcast(factor), b, a);
}

// ---- The transforms of one dimension, from every `step`-th vector of `from` to every `step`-th of `to`: Toom-Cook at
// the points 0, ±a, ±b and infinity.  These a and b, which oneDNN takes too, round less than the paper's 1 and 2.

constexpr float kA = 0.625F, kB = 1.5F, kA2 = kA * kA, kB2 = kB * kB;
constexpr float kOf0 = 1 / (kA2 * kB2), kOfA = 1 / (2 * kA2 * (kA2 - kB2)), kOfB = 1 / (2 * kB2 * (kB2 - kA2));

// Bᵀ d: six pixels of x.
CONVOY_FMA_INLINE void transform_input(const Vector* from, Vector* to, int step) {
  const Vector d0 = from[0], d1 = from[step], d2 = from[2 * step], d3 = from[3 * step], d4 = from[4 * step],
               d5 = from[5 * step];
  const Vector even = add_product(d4, -kB2, d2), odd = add_product(d3, -kB2, d1);
  const Vector even2 = add_product(d4, -kA2, d2), odd2 = add_product(d3, -kA2, d1);
  to[0] = add_product(add_product(d4, -(kA2 + kB2), d2), kA2 * kB2, d0);
  to[step] = add_product(even, kA, odd);
  to[2 * step] = add_product(even, -kA, odd);
  to[3 * step] = add_product(even2, kB, odd2);
  to[4 * step] = add_product(even2, -kB, odd2);
  to[5 * step] = add_product(add_product(d5, -(kA2 + kB2), d3), kA2 * kB2, d1);
}

// Aᵀ m: to four pixels of y.
CONVOY_FMA_INLINE void transform_output(const Vector* from, Vector* to, int step) {
  const Vector sum = from[step] + from[2 * step], difference = from[step] - from[2 * step];
  const Vector sum2 = from[3 * step] + from[4 * step], difference2 = from[3 * step] - from[4 * step];
  to[0] = from[0] + sum + sum2;
  to[step] = add_product(broadcast(kA) * difference, kB, difference2);
  to[2 * step] = add_product(broadcast(kA2) * sum, kB2, sum2);
  to[3 * step] = add_product(add_product(from[5 * step], kA2 * kA, difference), kB2 * kB, difference2);
}

// A v: four pixels of dy.
CONVOY_FMA_INLINE void transform_gradient(const Vector* from, Vector* to, int step) {
  const Vector v0 = from[0], v1 = from[step], v2 = from[2 * step], v3 = from[3 * step];
  const Vector even = add_product(v0, kA2, v2), odd = add_product(v1, kA2, v3);
  const Vector even2 = add_product(v0, kB2, v2), odd2 = add_product(v1, kB2, v3);
  to[0] = v0;
  to[step] = add_product(even, kA, odd);
  to[2 * step] = add_product(even, -kA, odd);
  to[3 * step] = add_product(even2, kB, odd2);
  to[4 * step] = add_product(even2, -kB, odd2);
  to[5 * step] = v3;
}

// G g: three places of a filter.
CONVOY_FMA_INLINE void transform_filter(const Vector* from, Vector* to, int step) {
  const Vector g0 = from[0], g1 = from[step], g2 = from[2 * step];
  const Vector even = broadcast(kOfA) * add_product(g0, kA2, g2), even2 = broadcast(kOfB) * add_product(g0, kB2, g2);
  to[0] = broadcast(kOf0) * g0;
  to[step] = add_product(even, kOfA * kA, g1);
  to[2 * step] = add_product(even, -kOfA * kA, g1);
  to[3 * step] = add_product(even2, kOfB * kB, g1);
  to[4 * step] = add_product(even2, -kOfB * kB, g1);
  to[5 * step] = g2;
}

// Gᵀ u: to three places of a filter's gradient.
CONVOY_FMA_INLINE void transform_filter_gradient(const Vector* from, Vector* to, int step) {
  const Vector sum = from[step] + from[2 * step], difference = from[step] - from[2 * step];
  const Vector sum2 = from[3 * step] + from[4 * step], difference2 = from[3 * step] - from[4 * step];
  to[0] = add_product(add_product(broadcast(kOf0) * from[0], kOfA, sum), kOfB, sum2);
  to[step] = add_product(broadcast(kOfA * kA) * difference, kOfB * kB, difference2);
  to[2 * step] = add_product(add_product(from[5 * step], kOfA * kA2, sum), kOfB * kB2, sum2);
}

}  // namespace convoy::winograd

#endif
