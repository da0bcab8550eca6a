// The inner loops of resizing: sums of bytes times fixed-point weights.
//
//   sum = (2^21 + weights[0] * from[0] + weights[1] * from[stride] + …) >> 22, cut to 0 .. 255
//
// for each byte of a vector.  Exact, so all instruction sets agree.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/simd.h"

namespace convoy {

inline constexpr int kWeightBits = 22;
inline constexpr int kColumnBytes = 16, kBlockBytes = 64;

// to[i] = the sum of `taps` vectors of kColumnBytes, which begin at vector first[i], with weights[i * taps ...], for
// 0 <= i < n.
using SumColumns = void (*)(const uint8_t* from, const int* first, const int32_t* weights, int taps, int n,
                            uint8_t* to);
// to = the sum of `taps` vectors of n * kBlockBytes, `stride` bytes apart.
using SumRows = void (*)(const uint8_t* from, size_t stride, const int32_t* weights, int taps, int n, uint8_t* to);

struct WeightedSums {
  SumColumns columns;
  SumRows rows;
};
WeightedSums weighted_sums(SimdLevel level);

}  // namespace convoy
