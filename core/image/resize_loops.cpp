#include "core/image/resize_loops.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace convoy {
namespace {

constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// A pixel has kBytes of a column, one more than channels where they are three: that byte belongs to the next pixel,
// and is not read where there is none.
template <int kChannels>
void pack(const uint8_t* const* from, int64_t begin, int width, uint8_t* to) {
  constexpr int kRows = rows_of_group(kChannels), kBytes = kColumnBytes / kRows;
  for (int64_t x = begin; x < width - 1; ++x)
    for (int r = 0; r < kRows; ++r) std::memcpy(to + x * kColumnBytes + r * kBytes, from[r] + x * kChannels, kBytes);
  for (int r = 0; r < kRows; ++r)
    std::memcpy(to + int64_t{width - 1} * kColumnBytes + r * kBytes, from[r] + (width - 1) * kChannels, kChannels);
}

template <int kChannels>
void unpack(const uint8_t* from, int64_t begin, int width, int rows, uint8_t* to, size_t stride) {
  constexpr int kRows = rows_of_group(kChannels), kBytes = kColumnBytes / kRows;
  for (int r = 0; r < rows; ++r, to += stride)
    for (int64_t x = begin; x < width; ++x)
      std::memcpy(to + x * kChannels, from + x * kColumnBytes + r * kBytes, kBytes);
}

template <int kChannels>
void pack(const uint8_t* const* from, int width, uint8_t* to) {
  pack<kChannels>(from, 0, width, to);
}

template <int kChannels>
void unpack(const uint8_t* from, int width, int rows, uint8_t* to, size_t stride) {
  unpack<kChannels>(from, 0, width, rows, to, stride);
}

template <int kBytes>
void sum(const uint8_t* from, size_t stride, const int32_t* weights, int taps, uint8_t* to) {
  int32_t sums[kBytes];
  std::fill_n(sums, kBytes, kHalf);
  for (int t = 0; t < taps; ++t, from += stride)
    for (int k = 0; k < kBytes; ++k) sums[k] += from[k] * weights[t];
  for (int k = 0; k < kBytes; ++k) to[k] = static_cast<uint8_t>(std::clamp(sums[k] >> kWeightBits, 0, 255));
}

void sum_columns(const uint8_t* from, const int* first, const int32_t* weights, int taps, int n, uint8_t* to) {
  for (int i = 0; i < n; ++i, weights += taps, to += kColumnBytes)
    sum<kColumnBytes>(from + ptrdiff_t{first[i]} * kColumnBytes, kColumnBytes, weights, taps, to);
}

void sum_rows(const uint8_t* from, size_t stride, const int32_t* weights, int taps, int n, uint8_t* to) {
  for (int i = 0; i < n; ++i, from += kBlockBytes, to += kBlockBytes) sum<kBlockBytes>(from, stride, weights, taps, to);
}

#if defined(__x86_64__)

// g++ 12 makes byte-by-byte code of the loops above, so these are spelled out.
#define CONVOY_AVX2 __attribute__((target("avx2")))
#define CONVOY_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl")))

// Of four vectors of four 32-bit words: word k of each makes vector k.
CONVOY_AVX2 inline void transpose(__m128i (&v)[4]) {
  const __m128i a = _mm_unpacklo_epi32(v[0], v[1]), b = _mm_unpacklo_epi32(v[2], v[3]);
  const __m128i c = _mm_unpackhi_epi32(v[0], v[1]), d = _mm_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm_unpacklo_epi64(a, b);
  v[1] = _mm_unpackhi_epi64(a, b);
  v[2] = _mm_unpacklo_epi64(c, d);
  v[3] = _mm_unpackhi_epi64(c, d);
}

CONVOY_AVX2 void pack_rgb_avx2(const uint8_t* const* from, int width, uint8_t* to) {
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  int64_t x = 0;
  for (; 3 * x + 16 <= 3 * width; x += 4) {
    __m128i v[4];
    for (int r = 0; r < 4; ++r)
      v[r] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from[r] + 3 * x)), spread);
    transpose(v);
    for (int k = 0; k < 4; ++k) _mm_storeu_si128(reinterpret_cast<__m128i*>(to + (x + k) * kColumnBytes), v[k]);
  }
  pack<3>(from, x, width, to);
}

CONVOY_AVX2 void unpack_rgb_avx2(const uint8_t* from, int width, int rows, uint8_t* to, size_t stride) {
  const __m128i gather = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  int64_t x = 0;
  for (; x + 4 <= width; x += 4) {
    __m128i v[4];
    for (int k = 0; k < 4; ++k) v[k] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + (x + k) * kColumnBytes));
    transpose(v);
    for (int r = 0; r < rows; ++r)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + static_cast<size_t>(r) * stride + 3 * x),
                       _mm_shuffle_epi8(v[r], gather));
  }
  unpack<3>(from, x, width, rows, to, stride);
}

// Eight sums of each of `a` and `b` to 16 bytes.
CONVOY_AVX2 inline __m128i to_bytes(__m256i a, __m256i b) {
  const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(a, kWeightBits), _mm256_srai_epi32(b, kWeightBits));
  const __m256i bytes = _mm256_packus_epi16(words, words);  // a[0..3] b[0..3] twice, a[4..7] b[4..7] twice
  const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
  return _mm_shuffle_epi32(_mm_unpacklo_epi64(low, high), _MM_SHUFFLE(3, 1, 2, 0));
}

CONVOY_AVX2 inline void add_avx2(const uint8_t* from, __m256i weight, __m256i& a, __m256i& b) {
  const auto* bytes = reinterpret_cast<const __m128i*>(from);
  a = _mm256_add_epi32(a, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(bytes)), weight));
  b = _mm256_add_epi32(
      b, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + 8))), weight));
}

CONVOY_AVX2 void sum_columns_avx2(const uint8_t* from, const int* first, const int32_t* weights, int taps, int n,
                                  uint8_t* to) {
  for (int i = 0; i < n; ++i, weights += taps, to += kColumnBytes) {
    const uint8_t* column = from + ptrdiff_t{first[i]} * kColumnBytes;
    __m256i a = _mm256_set1_epi32(kHalf), b = a;
    for (int t = 0; t < taps; ++t, column += kColumnBytes) add_avx2(column, _mm256_set1_epi32(weights[t]), a, b);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), to_bytes(a, b));
  }
}

CONVOY_AVX2 void sum_rows_avx2(const uint8_t* from, size_t stride, const int32_t* weights, int taps, int n,
                               uint8_t* to) {
  constexpr int kHalfBlock = kBlockBytes / 2;
  for (int i = 0; i < 2 * n; ++i, from += kHalfBlock, to += kHalfBlock) {
    const uint8_t* row = from;
    __m256i a = _mm256_set1_epi32(kHalf), b = a, c = a, d = a;
    for (int t = 0; t < taps; ++t, row += stride) {
      const __m256i weight = _mm256_set1_epi32(weights[t]);
      add_avx2(row, weight, a, b);
      add_avx2(row + kColumnBytes, weight, c, d);
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), to_bytes(a, b));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + kColumnBytes), to_bytes(c, d));
  }
}

// The forms with a mask, all ones: g++ 12 warns of uninitialized values inside the others.
constexpr __mmask16 kAll = 0xffff;

CONVOY_AVX512 inline __m512i weighed(const uint8_t* from, __m512i weight) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm512_mullo_epi32(_mm512_maskz_cvtepu8_epi32(kAll, bytes), weight);
}

CONVOY_AVX512 inline void store_avx512(__m512i sums, uint8_t* to) {
  const __m512i values =
      _mm512_maskz_max_epi32(kAll, _mm512_maskz_srai_epi32(kAll, sums, kWeightBits), _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_maskz_cvtusepi32_epi8(kAll, values));
}

CONVOY_AVX512 void sum_columns_avx512(const uint8_t* from, const int* first, const int32_t* weights, int taps, int n,
                                      uint8_t* to) {
  for (int i = 0; i < n; ++i, weights += taps, to += kColumnBytes) {
    const uint8_t* column = from + ptrdiff_t{first[i]} * kColumnBytes;
    __m512i sums = _mm512_set1_epi32(kHalf);
    for (int t = 0; t < taps; ++t, column += kColumnBytes)
      sums = _mm512_add_epi32(sums, weighed(column, _mm512_set1_epi32(weights[t])));
    store_avx512(sums, to);
  }
}

CONVOY_AVX512 void sum_rows_avx512(const uint8_t* from, size_t stride, const int32_t* weights, int taps, int n,
                                   uint8_t* to) {
  for (int i = 0; i < n; ++i, from += kBlockBytes, to += kBlockBytes) {
    const uint8_t* row = from;
    __m512i a = _mm512_set1_epi32(kHalf), b = a, c = a, d = a;
    for (int t = 0; t < taps; ++t, row += stride) {
      const __m512i weight = _mm512_set1_epi32(weights[t]);
      a = _mm512_add_epi32(a, weighed(row, weight));
      b = _mm512_add_epi32(b, weighed(row + 16, weight));
      c = _mm512_add_epi32(c, weighed(row + 32, weight));
      d = _mm512_add_epi32(d, weighed(row + 48, weight));
    }
    store_avx512(a, to);
    store_avx512(b, to + 16);
    store_avx512(c, to + 32);
    store_avx512(d, to + 48);
  }
}

#endif

}  // namespace

ResizeLoops resize_loops(SimdLevel level) {
  ResizeLoops loops = {pack<3>, pack<1>, unpack<3>, unpack<1>, sum_columns, sum_rows};
#if defined(__x86_64__)
  if (level >= SimdLevel::kAvx2)
    loops = {pack_rgb_avx2, pack<1>, unpack_rgb_avx2, unpack<1>, sum_columns_avx2, sum_rows_avx2};
  if (level == SimdLevel::kAvx512) loops.sum_columns = sum_columns_avx512, loops.sum_rows = sum_rows_avx512;
#endif
  (void)level;
  return loops;
}

}  // namespace convoy
