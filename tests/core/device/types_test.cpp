#include "core/device/types.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace convoy {
namespace {

// A type of 16 bits: sign, exponent, mantissa.
struct Format {
  const char* name;
  int mantissa_bits, least_exponent;  // of a normal number: 2^least_exponent
  std::function<float(uint16_t)> widen;
  std::function<uint16_t(float)> narrow;

  uint16_t infinity() const { return static_cast<uint16_t>(0x7fff >> mantissa_bits << mantissa_bits); }
  double value(uint16_t magnitude) const {  // by the definition of IEEE 754
    const int mantissa = magnitude & ((1 << mantissa_bits) - 1), exponent = magnitude >> mantissa_bits;
    const int whole = exponent == 0 ? mantissa : mantissa | 1 << mantissa_bits;
    return std::ldexp(whole, std::max(exponent, 1) - 1 + least_exponent - mantissa_bits);
  }
};

const Format kF16{"f16", 10, -14, f16_to_f32, f32_to_f16};
const Format kBf16{"bf16", 7, -126, bf16_to_f32, f32_to_bf16};

class NarrowFloats : public testing::TestWithParam<const Format*> {
 protected:
  const Format& it_ = *GetParam();
  static constexpr uint16_t kSign = 0x8000;
};

TEST_P(NarrowFloats, EveryValueComesBack) {
  for (int i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<uint16_t>(i), magnitude = static_cast<uint16_t>(bits & ~kSign);
    const float wide = it_.widen(bits);
    EXPECT_EQ(std::signbit(wide), (bits & kSign) != 0) << bits;
    if (magnitude > it_.infinity()) {
      EXPECT_TRUE(std::isnan(wide)) << bits;
      EXPECT_TRUE(std::isnan(it_.widen(it_.narrow(wide)))) << bits;
      continue;
    }
    const double value = magnitude == it_.infinity() ? std::numeric_limits<double>::infinity() : it_.value(magnitude);
    ASSERT_EQ(std::abs(double{wide}), value) << bits;
    ASSERT_EQ(it_.narrow(wide), bits);
  }
}

// Between each two neighbours; what would be the next power of two is infinity.
TEST_P(NarrowFloats, RoundsToNearestEven) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (uint16_t bits = 0; bits < it_.infinity(); ++bits) {
    const auto next = static_cast<uint16_t>(bits + 1);
    const auto middle = static_cast<float>((it_.value(bits) + it_.value(next)) / 2);
    for (const uint16_t sign : {uint16_t{0}, kSign}) {
      const float signed_middle = sign == 0 ? middle : -middle;
      const auto narrowed = [&](float towards) {
        return it_.narrow(std::nextafter(signed_middle, sign == 0 ? towards : -towards));
      };
      ASSERT_EQ(it_.narrow(signed_middle), (bits % 2 == 0 ? bits : next) | sign);
      ASSERT_EQ(narrowed(0), bits | sign);
      ASSERT_EQ(narrowed(infinity), next | sign);
    }
  }
}

TEST_P(NarrowFloats, WhatIsTooLargeOrTooSmall) {
  const float largest = std::numeric_limits<float>::max(), smallest = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(it_.narrow(largest), it_.infinity());
  EXPECT_EQ(it_.narrow(-largest), it_.infinity() | kSign);
  EXPECT_EQ(it_.narrow(smallest), 0);
  EXPECT_EQ(it_.narrow(-smallest), kSign);
}

INSTANTIATE_TEST_SUITE_P(Types, NarrowFloats, testing::Values(&kF16, &kBf16),
                         [](const auto& test) { return test.param->name; });

}  // namespace
}  // namespace convoy
