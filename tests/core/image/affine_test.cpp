#include "core/image/affine.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/image/images.h"

namespace convoy {
namespace {

constexpr int kWidth = 43, kHeight = 30;

// Of noise_image(43, 30): RGB nearest, RGB bilinear, grey nearest, grey bilinear.
struct Hashes {
  uint64_t of[4];
};

void expect_equal(const AffineMatrix& matrix, const Hashes& hashes) {
  for (int k = 0; k < 4; ++k) {
    Image image = noise_image(kWidth, kHeight, k < 2 ? 3 : 1);
    transform(view(image), matrix, k % 2 == 0 ? Interpolation::kNearest : Interpolation::kBilinear, 77);
    EXPECT_EQ(fnv1a(image.pixels), hashes.of[k]) << k;
  }
}

struct RotationCase {
  double degrees;
  Hashes hashes;
};
struct AffineCase {
  AffineOptions options;
  Hashes hashes;
};

// From tests/oracles/pillow_values.py with Pillow 12.3.
const RotationCase kRotations[] = {
    {0, {{0x9c1c545f29819775, 0x9c1c545f29819775, 0x5cf347916a5ca6a1, 0x5cf347916a5ca6a1}}},
    {1, {{0x9c1c545f29819775, 0xb989e5f51546797e, 0x5cf347916a5ca6a1, 0x768868c68a000d4e}}},
    {30, {{0x7511fc28b2a8d88d, 0xd1815c1f0b59b595, 0x3f226f30e0b2b20e, 0x1e27a0c8774a003b}}},
    {-45, {{0x2171fea8205449b3, 0xe084627ab7e6f466, 0x14ae2e7139c474d0, 0xe85676f4cdcd9655}}},
    {90, {{0x34af62fd1ffbffa1, 0xcff1f1c327d1efd5, 0xcf3ef6d9fac305ed, 0xe3a44b003848c6f0}}},
    {135, {{0xa552c9e524d1c9a7, 0x29ad83aef87d50a0, 0x937f443264fb9452, 0x53328b7bba394031}}},
    {180, {{0x57cc34e2f76765c1, 0x57cc34e2f76765c1, 0x13d92c6d9804c84d, 0x13d92c6d9804c84d}}},
    {270, {{0x6cd94fe8418e4eb1, 0x446021a7aa8fbf95, 0xbb4aca1c5968d519, 0x4334d2e73f72a3ee}}},
    {-359.5, {{0x9c1c545f29819775, 0x991ac77ce286c4ee, 0x5cf347916a5ca6a1, 0xccbd83bb4b89e8c0}}},
    {1000, {{0x425cf51a0c4acce3, 0x9adcfbeae6b645d3, 0x0934d2e083e54704, 0x8eca1f2748e86f65}}},
};
const AffineCase kAffine[] = {
    {{.angle = 0, .shear_x = 0, .shear_y = 0, .translate_x = 0, .translate_y = 0, .centre_x = 21.5, .centre_y = 15},
     {{0x9c1c545f29819775, 0x9c1c545f29819775, 0x5cf347916a5ca6a1, 0x5cf347916a5ca6a1}}},
    {{.angle = 0, .shear_x = 0, .shear_y = 0, .translate_x = 5, .translate_y = -3, .centre_x = 21.5, .centre_y = 15},
     {{0x51e5dcb558f9f902, 0x51e5dcb558f9f902, 0x8cc191e9b35ae70f, 0x8cc191e9b35ae70f}}},
    {{.angle = 0, .shear_x = 0, .shear_y = 0, .translate_x = -50, .translate_y = 0, .centre_x = 21.5, .centre_y = 15},
     {{0x61786dbfc3de2da3, 0x61786dbfc3de2da3, 0x29da13351eecf607, 0x29da13351eecf607}}},
    {{.angle = 0, .shear_x = 16.7, .shear_y = 0, .translate_x = 0, .translate_y = 0, .centre_x = 21.5, .centre_y = 15},
     {{0x7aa013b39cba394a, 0x1e7e22fe54c1ad36, 0xe5949ef384f63676, 0x1842aa30e2cb1167}}},
    {{.angle = 0, .shear_x = 0, .shear_y = -40, .translate_x = 0, .translate_y = 0, .centre_x = 21.5, .centre_y = 15},
     {{0x768202f840fc8c23, 0xce6d571e62ff8aed, 0x4a9ac4ca6d0ff049, 0xd2a91ac33b58edf1}}},
    {{.angle = 20,
      .shear_x = 10,
      .shear_y = 5,
      .translate_x = 2.5,
      .translate_y = 1.25,
      .centre_x = 21.5,
      .centre_y = 15},
     {{0x7efd79c5edeb293a, 0xf442532429b40c9d, 0x586222f9c9b3c3e5, 0xb69c65919372d65d}}},
    {{.angle = -170,
      .shear_x = -30,
      .shear_y = 20,
      .translate_x = 0,
      .translate_y = 9,
      .centre_x = 21.5,
      .centre_y = 15},
     {{0x13fa9bafe95f7360, 0x814774d471a6ee0b, 0x30a6c4679ea0671f, 0xfa702ad7bbcf9b26}}},
};

TEST(Affine, RotationsAreEqualToPillow) {
  for (const RotationCase& c : kRotations) {
    SCOPED_TRACE(c.degrees);
    expect_equal(rotation_matrix(c.degrees, kWidth, kHeight), c.hashes);
  }
}

TEST(Affine, ShiftShearAndTurnAreEqualToTorchvision) {
  int number = 0;
  for (const AffineCase& c : kAffine) {
    SCOPED_TRACE(number++);
    expect_equal(affine_matrix(c.options), c.hashes);
  }
}

TEST(Affine, QuarterTurnsMovePixelsExactly) {
  for (const Interpolation interpolation : {Interpolation::kNearest, Interpolation::kBilinear}) {
    const Image before = noise_image(21, 21, 3);
    Image image = before;
    for (int turn = 0; turn < 4; ++turn) {
      transform(view(image), rotation_matrix(90, 21, 21), interpolation, 0);
      if (turn == 0) {  // counter-clockwise: the top right corner becomes the top left one
        EXPECT_EQ(image.pixels[0], before.pixels[20 * 3]);
        EXPECT_NE(image.pixels, before.pixels);
      }
    }
    EXPECT_EQ(image.pixels, before.pixels);
  }
}

// Coordinates too large for 16.16 fixed point.
TEST(Affine, VeryWideImagesShearToo) {
  Image image = noise_image(70000, 2, 1);
  const Image before = image;
  transform(view(image), affine_matrix({.shear_x = 45}), Interpolation::kNearest, 0);
  EXPECT_TRUE(std::equal(before.pixels.begin() + 1, before.pixels.begin() + 70000, image.pixels.begin()) ||
              std::equal(before.pixels.begin(), before.pixels.begin() + 70000, image.pixels.begin()));
}

}  // namespace
}  // namespace convoy
