#include "core/data/augment_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "tests/core/image/images.h"

namespace convoy {
namespace {

constexpr uint64_t kKey = 99;

// By PolicyOp: the magnitude, and what comes of noise_image(60, 40, 3, 20, 200) with it and with its negative.
struct TorchvisionCase {
  double magnitude;
  uint64_t plus, minus;
};

// From tests/oracles/pillow_values.py with Pillow 12.3.
const TorchvisionCase kRandAugment9[kPolicyOps] = {
    {0.0, 0x3a140ffb17b746f7, 0x3a140ffb17b746f7},                  // Identity
    {0.09000000357627869, 0x5e25b738cac5861c, 0x850b110e07cf0a53},  // ShearX
    {0.09000000357627869, 0xd2756164cd2101ec, 0xf23be992b3bde7c5},  // ShearY
    {8.157099723815918, 0xef0b002d2a94340a, 0x5a75508ce5127a9c},    // TranslateX
    {5.438066482543945, 0xd046935fdcf6c9a2, 0x3c18fe07c40b000b},    // TranslateY
    {9.0, 0xa58a56b255eadc7c, 0x4df866a71cbbf5d2},                  // Rotate
    {0.26999998092651367, 0xd47b2f5b13eacb42, 0xccc2f86ba2741953},  // Brightness
    {0.26999998092651367, 0xea8cc06bc9348a7b, 0x20167cd00834b17e},  // Color
    {0.26999998092651367, 0xcf9c53b301c618ec, 0xc1f5a36956fa3bc0},  // Contrast
    {0.26999998092651367, 0x05cd6d30bc92800e, 0xb39d50a237266574},  // Sharpness
    {7.0, 0x66f56b5ea45cda21, 0x66f56b5ea45cda21},                  // Posterize
    {178.5, 0xae2aa910eefae778, 0xae2aa910eefae778},                // Solarize
    {0.0, 0x30e7f3f2ddb5aee7, 0x30e7f3f2ddb5aee7},                  // AutoContrast
    {0.0, 0x07a0b1408169113f, 0x07a0b1408169113f},                  // Equalize
};
const TorchvisionCase kTrivialAugment22[kPolicyOps] = {
    {0.0, 0x3a140ffb17b746f7, 0x3a140ffb17b746f7},                 // Identity
    {0.7260000109672546, 0xcbc4fad57f82318d, 0xda88249fc94ef350},  // ShearX
    {0.7260000109672546, 0x7f0bb9e4e9e3e001, 0x9b9cb58cbb64151a},  // ShearY
    {23.46666717529297, 0xe59ccb132758c277, 0x2994f3bfdf88b78b},   // TranslateX
    {23.46666717529297, 0x2a85b58081a66843, 0xae10289006a0811f},   // TranslateY
    {99.0, 0x64b397bd545580d0, 0x90bcc6a03899488a},                // Rotate
    {0.7260000109672546, 0x11e73660d90d42e0, 0x2178f61751ba10dd},  // Brightness
    {0.7260000109672546, 0xc0ebd2a12efa19e3, 0xb0d6fbf768cbea4e},  // Color
    {0.7260000109672546, 0xd6a42ff7410c1c35, 0xba785c851e160a43},  // Contrast
    {0.7260000109672546, 0xba00af9b6b899b88, 0x959b7690ba75fb01},  // Sharpness
    {4.0, 0xb33154abb7442095, 0xb33154abb7442095},                 // Posterize
    {68.0, 0x763d18de32208e6b, 0x763d18de32208e6b},                // Solarize
    {0.0, 0x30e7f3f2ddb5aee7, 0x30e7f3f2ddb5aee7},                 // AutoContrast
    {0.0, 0x07a0b1408169113f, 0x07a0b1408169113f},                 // Equalize
};

void expect_equal(const PolicyStep& step, const TorchvisionCase& expected) {
  Image image = noise_image(60, 40, 3, 20, 200);
  apply(step, view(image), Interpolation::kNearest, 0);
  EXPECT_EQ(fnv1a(image.pixels), step.magnitude < 0 ? expected.minus : expected.plus)
      << static_cast<int>(step.op) << " " << step.magnitude;
}

TEST(AugmentPolicy, RandAugmentIsTorchvisions) {
  std::map<std::pair<PolicyOp, bool>, int> seen;
  for (int i = 0; i < 3000; ++i) {
    SampleRandom random(kKey, 0, i, RandomStream::kPolicy);
    const PolicyStep step = draw_rand_augment(random, 9, 60, 40);
    const TorchvisionCase& expected = kRandAugment9[static_cast<int>(step.op)];
    ASSERT_EQ(std::abs(step.magnitude), expected.magnitude) << static_cast<int>(step.op);
    if (++seen[{step.op, step.magnitude < 0}] == 1) expect_equal(step, expected);
  }
  ASSERT_EQ(seen.size(), 14u + 9u);  // nine have both signs
  for (const auto& [kind, count] : seen) {
    const bool has_sign = kind.first >= PolicyOp::kShearX && kind.first <= PolicyOp::kSharpness;
    EXPECT_NEAR(count, 3000.0 / (has_sign ? 28 : 14), has_sign ? 55 : 75) << static_cast<int>(kind.first);
  }
}

TEST(AugmentPolicy, TrivialAugmentIsTorchvisions) {
  std::map<std::pair<PolicyOp, double>, int> seen;
  for (int i = 0; i < 40000; ++i) {
    SampleRandom random(kKey, 0, i, RandomStream::kPolicy);
    const PolicyStep step = draw_trivial_augment(random);
    const TorchvisionCase& expected = kTrivialAugment22[static_cast<int>(step.op)];
    if (++seen[{step.op, step.magnitude}] == 1 && std::abs(step.magnitude) == expected.magnitude)
      expect_equal(step, expected);
  }
  for (int op = 0; op < kPolicyOps; ++op)
    EXPECT_TRUE(seen.contains({static_cast<PolicyOp>(op), kTrivialAugment22[op].magnitude})) << op;
  // Three without magnitude; nine of 31 with a sign, of which zeros are one; 7 numbers of bits; 31 thresholds.
  EXPECT_EQ(seen.size(), 3u + 9u * 61u + 7u + 31u);
}

TEST(AugmentPolicy, EveryStepTakesEveryImage) {
  for (const auto& [w, h] : std::vector<std::pair<int, int>>{{1, 1}, {1, 7}, {7, 1}, {2, 2}, {33, 3}})
    for (const int channels : {1, 3})
      for (int i = 0; i < 500; ++i) {
        Image image = noise_image(w, h, channels);
        SampleRandom random(kKey, 1, i, RandomStream::kPolicy);
        apply(draw_trivial_augment(random), view(image),
              i % 2 == 0 ? Interpolation::kNearest : Interpolation::kBilinear, 5);
        EXPECT_EQ(image.pixels.size(), static_cast<size_t>(w * h * channels));
      }
}

}  // namespace
}  // namespace convoy
