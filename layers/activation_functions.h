// What the layers of activation.h do to each element: what host and device compute alike.
//
// Only +, -, ·, / and bits, never a library's exp: so loops over them vectorise, and give the same bits at every SIMD
// level.  Values are within 1e-6 of the truth, relative to it, or within 1e-10; a NaN stays one.  Nothing is computed
// under a condition, which would be a branch, and no vectors: results are chosen.
//
// A function is a struct with
//
//   kType       its name in YAML
//   kSlopeFrom  what its derivative is told by
//   value(x)    y
//   slope(…)    dy/dx, given x or y
#pragma once

#include <bit>
#include <cstdint>
#include <variant>

#include "core/base/simd.h"

namespace convoy {

enum class SlopeFrom : uint8_t {
  kInput,
  kOutput,
  kUnroundedOutput,  // as f32 keeps it; of 16 bits too little is left, so that y is computed again from x
};

namespace elementwise {

CONVOY_INLINE constexpr float magnitude(float x) { return x < 0 ? -x : x; }
CONVOY_INLINE constexpr float clipped(float x, float low, float high) {
  const float above = x < low ? low : x;
  return above > high ? high : above;
}

// e^x - 1 = scale - 1 + scale · rest.
struct Exponential {
  float scale;  // a power of two
  float rest;   // in [-0.3, 0.42]
  CONVOY_INLINE constexpr float value() const { return scale + scale * rest; }
};

// Of x + low, where |low| is below the last bits of x.  Requires: -87 <= x <= 88, or NaN.
CONVOY_INLINE constexpr Exponential exponential(float x, float low = 0) {
  constexpr float kLog2E = 1.44269504F, kHigh = 0.693359375F, kLow = -2.12194440e-4F;  // ln 2 = high + low
  constexpr float kRound = 12582912.0F;  // 1.5 · 2^23: what is added to it is rounded to an integer, in its low bits
  const float shifted = x * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = x - n * kHigh - n * kLow + low;
  // (e^r - 1 - r) / r² for |r| <= ln(2)/2: Cephes, expf.
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  return {std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) + 127U) << 23), p * r * r + r};
}

// e^-a for a >= 0; 0 where f32 has no normal number for it.
constexpr float kGone = 87;
CONVOY_INLINE constexpr float decay(float a, float low = 0) {
  const float value = exponential(a > kGone ? -kGone : -a, low).value();
  return a > kGone ? 0.0F : value;
}

// 1 / (1 + e^-x), and what is left of 1.
struct Logistic {
  float up, down;
};
CONVOY_INLINE constexpr Logistic logistic(float x) {
  const float e = decay(magnitude(x)), large = 1 / (1 + e), small = e / (1 + e);
  return {x < 0 ? small : large, x < 0 ? large : small};
}
CONVOY_INLINE constexpr float sigmoid(float x) {
  const float e = decay(magnitude(x));
  return (x < 0 ? e : 1.0F) / (1 + e);
}

CONVOY_INLINE constexpr float tanh(float x) {
  const float a = magnitude(x), square = x * x;
  // (tanh(x) - x) / x³ for |x| < 0.625, where the other formula cancels: Cephes, tanhf.
  float p = -5.70498872745e-3F;
  p = p * square + 2.06390887954e-2F;
  p = p * square - 5.37397155531e-2F;
  p = p * square + 1.33314422036e-1F;
  p = p * square - 3.33332819422e-1F;
  const float small = p * square * x + x;
  const float e = decay(2 * a);
  const float large = (1 - e) / (1 + e);
  return a < 0.625F ? small : x < 0 ? -large : large;
}

// e^(-x²/2), and the integral of the normal distribution from x on or up to x, whichever is smaller.
struct Normal {
  float bell, tail;
};
CONVOY_INLINE constexpr Normal normal(float x) {
  const float a = magnitude(x);
  // x² = high² + (a - high)(a + high), the first without rounding: e^-x is as wrong as x is, not relative to it.
  const float high = std::bit_cast<float>(std::bit_cast<uint32_t>(a) & 0xFFFFF000U);
  const float bell = decay(0.5F * (high * high), -0.5F * ((a - high) * (a + high)));
  // tail / bell in t = 1 / (1 + 0.3 a), for 0 <= a <= 13.2: a fit, within 3e-8 of it.
  const float t = 1 / (1 + 0.3F * a);
  float p = -5.66045603e-3F;
  p = p * t + 6.79136718e-2F;
  p = p * t - 2.35632555e-1F;
  p = p * t + 3.13128535e-1F;
  p = p * t - 1.43151932e-1F;
  p = p * t + 1.76312039e-1F;
  p = p * t + 8.37107063e-2F;
  p = p * t + 1.24120009e-1F;
  p = p * t + 1.19241046e-1F;
  p = p * t + 1.89508562e-5F;
  return {bell, p * bell};
}

}  // namespace elementwise

struct SigmoidFunction {
  static constexpr const char* kType = "sigmoid";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kUnroundedOutput;
  CONVOY_INLINE constexpr float value(float x) const { return elementwise::sigmoid(x); }
  CONVOY_INLINE constexpr float slope(float y) const { return y * (1 - y); }
};

// x/6 + 1/2, clipped to [0, 1].
struct HardSigmoidFunction {
  static constexpr const char* kType = "hard_sigmoid";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kInput;
  CONVOY_INLINE constexpr float value(float x) const { return elementwise::clipped(x + 3, 0, 6) / 6; }
  CONVOY_INLINE constexpr float slope(float x) const { return elementwise::magnitude(x) < 3 ? 1.0F / 6 : 0.0F; }
};

struct TanhFunction {
  static constexpr const char* kType = "tanh";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kUnroundedOutput;
  CONVOY_INLINE constexpr float value(float x) const { return elementwise::tanh(x); }
  CONVOY_INLINE constexpr float slope(float y) const { return 1 - y * y; }
};

// x · sigmoid(x)
struct SiluFunction {
  static constexpr const char* kType = "silu";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kInput;
  CONVOY_INLINE constexpr float value(float x) const { return x * elementwise::sigmoid(x); }
  CONVOY_INLINE constexpr float slope(float x) const {
    const auto at = elementwise::logistic(x);
    return at.up + at.up * at.down * x;
  }
};

// x · hard_sigmoid(x)
struct HardSwishFunction {
  static constexpr const char* kType = "hard_swish";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kInput;
  CONVOY_INLINE constexpr float value(float x) const { return x * (elementwise::clipped(x + 3, 0, 6) / 6); }
  CONVOY_INLINE constexpr float slope(float x) const {
    const float inside = x / 3 + 0.5F;
    return x <= -3 ? 0.0F : x < 3 ? inside : 1.0F;
  }
};

// x, clipped to [0, 6].  The gradient at both ends is 0.
struct Relu6Function {
  static constexpr const char* kType = "relu6";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kOutput;
  CONVOY_INLINE constexpr float value(float x) const { return elementwise::clipped(x, 0, 6); }
  CONVOY_INLINE constexpr float slope(float y) const {
    const float below = y < 6 ? 1.0F : 0.0F;
    return y > 0 ? below : 0.0F;
  }
};

// x where x > 0, else negative · x.  Requires: negative >= 0, so that y has the sign of x; Activation checks it.
struct LeakyReluFunction {
  static constexpr const char* kType = "leaky_relu";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kOutput;
  float negative = 0.01F;
  CONVOY_INLINE constexpr float value(float x) const {
    const float below = negative * x;
    return x > 0 ? x : below;
  }
  CONVOY_INLINE constexpr float slope(float y) const { return y > 0 ? 1.0F : negative; }
};

// x where x > 0, else alpha · (e^x - 1).  Requires: alpha >= 0, as above.
struct EluFunction {
  static constexpr const char* kType = "elu";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kUnroundedOutput;
  float alpha = 1;
  CONVOY_INLINE constexpr float value(float x) const {
    const float negative = x > 0 ? 0.0F : x;
    const auto e = elementwise::exponential(negative < -elementwise::kGone ? -elementwise::kGone : negative);
    const float below = alpha * (e.scale - 1 + e.scale * e.rest);
    return x > 0 ? x : below;
  }
  CONVOY_INLINE constexpr float slope(float y) const {
    const float below = y + alpha;
    return y > 0 ? 1.0F : below;
  }
};

// x · Φ(x), where Φ(x) is the normal distribution's integral up to x.
struct GeluFunction {
  static constexpr const char* kType = "gelu";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kInput;
  CONVOY_INLINE constexpr float value(float x) const {
    const float tail = elementwise::normal(x).tail;
    return x * (x < 0 ? tail : 1 - tail);
  }
  CONVOY_INLINE constexpr float slope(float x) const {
    constexpr float kOneOverRoot = 0.398942280F;  // 1 / sqrt(2π)
    const auto at = elementwise::normal(x);
    return (x < 0 ? at.tail : 1 - at.tail) + x * (at.bell * kOneOverRoot);
  }
};

// x · (1 + tanh(u)) / 2 = x · sigmoid(2u) with u = sqrt(2/π) · (x + 0.044715 x³).
struct GeluTanhFunction {
  static constexpr const char* kType = "gelu";
  static constexpr SlopeFrom kSlopeFrom = SlopeFrom::kInput;
  static constexpr float kTwice = 1.59576912F;  // 2 · sqrt(2/π)
  static constexpr float kCube = 0.044715F;
  CONVOY_INLINE constexpr float value(float x) const {
    return x * elementwise::sigmoid(kTwice * (x + kCube * (x * x * x)));
  }
  CONVOY_INLINE constexpr float slope(float x) const {
    const float at = elementwise::clipped(x, -10, 10), square = at * at;  // beyond, the slope no longer changes
    const auto gate = elementwise::logistic(kTwice * (at + kCube * (square * at)));
    return gate.up + gate.up * gate.down * (kTwice * at * (1 + 3 * kCube * square));
  }
};

using ActivationFunction =
    std::variant<SigmoidFunction, HardSigmoidFunction, TanhFunction, SiluFunction, HardSwishFunction, Relu6Function,
                 LeakyReluFunction, EluFunction, GeluFunction, GeluTanhFunction>;

}  // namespace convoy
