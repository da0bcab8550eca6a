// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11).
//
// A draw is a pure function of (key, counter): the same on every device, for any number of ranks and threads, in any
// order.  Nothing here has state, so nothing has to be saved or restored.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace convoy {

using Random4 = std::array<uint32_t, 4>;

// Streams of numbers that must never coincide; the first word of every key.
enum class RandomUse : uint32_t { kInitialize = 1, kShuffle = 2, kDropout = 3, kAugment = 4, kSynthetic = 5 };

// Four independent 32-bit words for one 128-bit counter.
constexpr Random4 philox(uint64_t key, Random4 counter) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return counter;
}

// The key for one use of one seed: (use, seed) pairs never share a key.
constexpr uint64_t random_key(RandomUse use, uint64_t seed) {
  const Random4 mixed = philox(seed, {static_cast<uint32_t>(use), 0x436f6e76, 0x6f790000, 0});
  return uint64_t{mixed[0]} << 32 | mixed[1];
}

constexpr Random4 philox(uint64_t key, uint64_t high, uint64_t low) {
  return philox(key, Random4{static_cast<uint32_t>(low), static_cast<uint32_t>(low >> 32), static_cast<uint32_t>(high),
                             static_cast<uint32_t>(high >> 32)});
}

// Uniform in [0, 1), 24 bits.
constexpr float uniform01(uint32_t word) { return static_cast<float>(word >> 8) * 0x1.0p-24F; }

// Standard normal by Box-Muller from two words.
inline float normal01(uint32_t a, uint32_t b) {
  const double u = (static_cast<double>(a) + 1.0) * 0x1.0p-32;  // (0, 1]
  const double v = static_cast<double>(b) * 0x1.0p-32;
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

}  // namespace convoy
