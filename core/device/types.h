// Shapes, element types, memory layouts, and views of memory.  Small values: copy them freely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/error.h"

namespace convoy {

enum class Dtype : uint8_t { kF32, kBF16, kF16, kU8, kI32 };

constexpr int64_t size_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
    case Dtype::kI32: return 4;
    case Dtype::kBF16:
    case Dtype::kF16: return 2;
    case Dtype::kU8: return 1;
  }
  return 0;
}
const char* to_string(Dtype dtype);  // "f32", "bf16", "f16", "u8", "i32"

// Four dimensions.  Activations are [N,H,W,C]; convolution weights are [O,H,W,I] with O in `n` and I in `c`;
// a vector of length k is [1,1,1,k].  Element counts are 64-bit.
struct Shape {
  int n = 1, h = 1, w = 1, c = 1;
  constexpr int64_t elements() const { return int64_t{n} * h * w * c; }
  friend bool operator==(const Shape&, const Shape&) = default;
};
std::string to_string(const Shape& shape);  // "32x28x28x1"

// How the elements of a Shape lie in memory.  channel_block 0 is canonical: N,H,W,C with nothing between.
// channel_block b is N, ceil(C/b), H, W, b: channels in groups of b, the last group padded with zeros; it is what
// vectorised CPU convolutions prefer (oneDNN's nChw8c, nChw16c).  What leaves a plan is always canonical.
struct Layout {
  int channel_block = 0;
  constexpr bool canonical() const { return channel_block == 0; }
  friend bool operator==(const Layout&, const Layout&) = default;
};
std::string to_string(Layout layout);  // "nhwc", "nChw16c"

struct ValueType {
  Shape shape;
  Dtype dtype = Dtype::kF32;
  Layout layout = {};
  constexpr int64_t bytes() const {
    const int block = layout.channel_block;
    const int64_t channels = block == 0 ? shape.c : (int64_t{shape.c} + block - 1) / block * block;
    return int64_t{shape.n} * shape.h * shape.w * channels * size_of(dtype);
  }
  friend bool operator==(const ValueType&, const ValueType&) = default;
};
std::string to_string(const ValueType& type);  // "32x28x28x1 f32 nhwc"

// A view: never frees.  `data == nullptr` means "not wanted" where a contract allows that.
struct Tensor {
  void* data = nullptr;
  ValueType type;

  explicit operator bool() const { return data != nullptr; }
  // Typed access; T must match type.dtype (bf16 and f16 are read as uint16_t).
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// bf16 <-> f32, round to nearest even, NaN stays NaN.
inline float bf16_to_f32(uint16_t value) { return __builtin_bit_cast(float, uint32_t{value} << 16); }
inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const bool nan = (bits & 0x7fffffff) > 0x7f800000;
  return static_cast<uint16_t>(nan ? (bits >> 16 | 0x40) : rounded);
}

// f16 (IEEE 754 binary16) <-> f32, likewise; what is too large becomes infinity.
inline float f16_to_f32(uint16_t value) {
  const uint32_t sign = uint32_t{value & 0x8000U} << 16, rest = value & 0x7fffU;
  if (rest >= 0x7c00) return __builtin_bit_cast(float, sign | 0x7f800000 | (rest & 0x3ff) << 13);
  if (rest >= 0x0400) return __builtin_bit_cast(float, sign | ((rest << 13) + 0x38000000));
  const float tiny = static_cast<float>(rest) * 0x1.0p-24F;
  return sign != 0 ? -tiny : tiny;
}
inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00);
  if (rest >= 0x47800000) return static_cast<uint16_t>(sign | 0x7c00);  // 65536 and more
  if (rest < 0x38800000) {  // a multiple of 2^-24 at most: adding 2^-1 leaves it in the last bits, rounded
    const float shifted = __builtin_bit_cast(float, rest) + 0.5F;
    return static_cast<uint16_t>(sign | (__builtin_bit_cast(uint32_t, shifted) - 0x3f000000));
  }
  const uint32_t rounded = rest - 0x38000000 + 0xfff + (rest >> 13 & 1);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

}  // namespace convoy
