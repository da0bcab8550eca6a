// The inner loops of resizing: rows to columns and back, and sums of bytes times fixed-point weights.
//
// In the horizontal pass a group of rows is resized at once.  It is packed into columns of 16 bytes, which hold one
// pixel of each row: 4 rows of RGB and an unused byte, or 16 rows of grey.
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
inline constexpr int kColumnBytes = 16, kBlockBytes = 64, kSlack = 4;
inline constexpr int rows_of_group(int channels) { return channels == 3 ? 4 : 16; }

struct ResizeLoops {
  // Rows of `width` pixels to columns; a group's worth of them.
  void (*pack_rgb)(const uint8_t* const* from, int width, uint8_t* to);
  void (*pack_grey)(const uint8_t* const* from, int width, uint8_t* to);
  // The first `rows` rows of columns, `stride` bytes apart; up to kSlack bytes after a row are written too.
  void (*unpack_rgb)(const uint8_t* from, int width, int rows, uint8_t* to, size_t stride);
  void (*unpack_grey)(const uint8_t* from, int width, int rows, uint8_t* to, size_t stride);
  // Column i of `to` is the sum of `taps` columns from column first[i] on, with weights[i * taps ...], for i < n.
  void (*sum_columns)(const uint8_t* from, const int* first, const int32_t* weights, int taps, int n, uint8_t* to);
  // to = the sum of `taps` rows of n * kBlockBytes, `stride` bytes apart.
  void (*sum_rows)(const uint8_t* from, size_t stride, const int32_t* weights, int taps, int n, uint8_t* to);
};
ResizeLoops resize_loops(SimdLevel level);

}  // namespace convoy
