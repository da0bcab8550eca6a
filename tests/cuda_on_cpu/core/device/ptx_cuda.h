// In the place of core/device/ptx_cuda.h: the same numbers in plain C++.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>

#include "core/device/types.h"

namespace convoy {

inline float bf16_bits_to_float(uint16_t bits) { return bf16_to_f32(bits); }
inline uint16_t float_to_bf16_bits(float x) { return f32_to_bf16(x); }
inline float f16_bits_to_float(uint16_t bits) { return f16_to_f32(bits); }
inline uint16_t float_to_f16_bits(float x) { return f32_to_f16(x); }

inline int64_t clock_nanoseconds() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline void store_16_bytes(void* to, const void* bytes) { std::memcpy(to, bytes, 16); }

}  // namespace convoy
