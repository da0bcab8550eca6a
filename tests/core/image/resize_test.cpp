#include "core/image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/core/image/images.h"

namespace convoy {
namespace {

std::vector<SimdLevel> levels() {
  std::vector<SimdLevel> all;
  for (const SimdLevel level : {SimdLevel::kBaseline, SimdLevel::kAvx2, SimdLevel::kAvx512})
    if (level <= simd_level()) all.push_back(level);
  return all;
}

struct PillowCase {
  int width, height, channels;
  Box box;
  ImageSize size;
  ResizeFilter filter;
  uint64_t hash;
};

// From tests/oracles/pillow_values.py with Pillow 12.3.
const PillowCase kPillow[] = {
    {500, 375, 3, {0, 0, 500, 375}, {224, 224}, ResizeFilter::kBilinear, 0x88650d62cc58a614},
    {1, 1, 1, {0.0, 0.0, 1.0, 1.0}, {1, 1}, ResizeFilter::kBilinear, 0xaf63b14c8601a37b},
    {1, 1, 3, {0, 0, 1, 1}, {7, 5}, ResizeFilter::kBicubic, 0xaf44f714a9a7e84c},
    {1, 9, 1, {0, 0, 1, 9}, {4, 3}, ResizeFilter::kBicubic, 0xd90be28c0f8fa715},
    {9, 1, 3, {8.0, 0.0, 9.0, 1.0}, {3, 4}, ResizeFilter::kBilinear, 0xbe63d3a5ee2bfa65},
    {40, 30, 1, {23, 15, 24, 23}, {1, 1}, ResizeFilter::kBilinear, 0xaf63f74c86021a6d},
    {28, 28, 3, {0, 0, 28, 28}, {28, 28}, ResizeFilter::kBicubic, 0x061488fd6f7b9b1e},
    {28, 28, 1, {1.25, 9.75, 24.75, 23.25}, {28, 14}, ResizeFilter::kBicubic, 0x5534e6aed736b5f4},
    {28, 28, 3, {20, 5, 23, 22}, {14, 28}, ResizeFilter::kBilinear, 0x5822bff62b3f83f7},
    {5, 4, 1, {0, 0, 5, 4}, {300, 200}, ResizeFilter::kBilinear, 0xd29f1b9944d2cb25},
    {700, 3, 3, {232.25, 0.0, 627.75, 1.75}, {3, 64}, ResizeFilter::kBicubic, 0xb25598ab2654ba5f},
    {9, 700, 1, {8, 561, 9, 665}, {64, 3}, ResizeFilter::kBicubic, 0x2818aef309aaa66d},
    {333, 250, 3, {0, 0, 333, 250}, {256, 192}, ResizeFilter::kBilinear, 0xf14a489c2d2353c6},
    {17, 23, 1, {11.0, 18.25, 14.75, 21.0}, {21, 22}, ResizeFilter::kBilinear, 0x011166f8c94f2b11},
    {18, 73, 3, {8, 70, 18, 73}, {109, 103}, ResizeFilter::kBicubic, 0x9275db26af105a38},
    {98, 9, 1, {0, 0, 98, 9}, {33, 16}, ResizeFilter::kBicubic, 0xefdb341a51931fa1},
    {64, 98, 3, {0.25, 49.0, 51.25, 97.25}, {58, 61}, ResizeFilter::kBilinear, 0xe4bbb13de7b89827},
    {84, 49, 1, {65, 8, 82, 44}, {101, 27}, ResizeFilter::kBilinear, 0x9101de1750d20098},
    {13, 63, 3, {0, 0, 13, 63}, {4, 115}, ResizeFilter::kBicubic, 0xa98fea75f4c247c6},
    {107, 50, 1, {26.25, 27.25, 34.25, 43.5}, {56, 78}, ResizeFilter::kBicubic, 0x429724ee02f8c3fb},
    {98, 99, 3, {46, 72, 82, 79}, {1, 90}, ResizeFilter::kBilinear, 0x05587fb6eb0de38c},
    {58, 35, 1, {0, 0, 58, 35}, {93, 103}, ResizeFilter::kBilinear, 0x4c0f6ad5d10a82f5},
    {30, 76, 3, {16.0, 52.75, 24.75, 65.0}, {14, 116}, ResizeFilter::kBicubic, 0xf4c2bd26d4863f45},
    {41, 4, 1, {26, 2, 27, 4}, {3, 4}, ResizeFilter::kBicubic, 0x73c78cb582e80496},
    {84, 70, 3, {0, 0, 84, 70}, {2, 113}, ResizeFilter::kBilinear, 0xe94d22815cd8e112},
    {49, 88, 1, {29.25, 76.75, 31.0, 81.25}, {28, 55}, ResizeFilter::kBilinear, 0x9fce7b5e233cd3ea},
    {93, 4, 3, {81, 1, 90, 4}, {68, 29}, ResizeFilter::kBicubic, 0x5480fa3e0a4d6ae2},
    {98, 57, 1, {0, 0, 98, 57}, {64, 71}, ResizeFilter::kBicubic, 0x31a06a9640bbef3e},
    {30, 45, 3, {5.75, 5.75, 24.25, 23.0}, {30, 87}, ResizeFilter::kBilinear, 0x20025a677dd470ef},
    {29, 98, 1, {1, 86, 4, 88}, {59, 38}, ResizeFilter::kBilinear, 0x0a4a13845d7d81ea},
    {119, 3, 3, {0, 0, 119, 3}, {54, 108}, ResizeFilter::kBicubic, 0xcbd676520e265a46},
    {118, 72, 1, {111.0, 2.0, 115.5, 4.75}, {119, 83}, ResizeFilter::kBicubic, 0x9b6ebee49e47bc9f},
    {13, 24, 3, {12, 8, 13, 17}, {81, 93}, ResizeFilter::kBilinear, 0xa25363a8ae1ea449},
    {111, 38, 1, {0, 0, 111, 38}, {16, 96}, ResizeFilter::kBilinear, 0x8b256f7ada0f8510},
    {43, 115, 3, {7.0, 102.0, 19.75, 108.5}, {93, 92}, ResizeFilter::kBicubic, 0xe2595ffc42b1ca76},
    {65, 120, 1, {37, 8, 43, 29}, {55, 65}, ResizeFilter::kBicubic, 0x52e443fba2b9a2a7},
    {107, 117, 3, {0, 0, 107, 117}, {86, 25}, ResizeFilter::kBilinear, 0xe9274e19b8f350fa},
    {39, 37, 1, {16.25, 33.75, 22.5, 35.75}, {76, 113}, ResizeFilter::kBilinear, 0x918d6faadd82d3dc},
    {64, 109, 3, {37, 58, 60, 79}, {65, 51}, ResizeFilter::kBicubic, 0x30ff4990d11169d7},
    {76, 110, 1, {0, 0, 76, 110}, {5, 62}, ResizeFilter::kBicubic, 0xd75419c4ab7f31a1},
};

TEST(Resize, EqualToPillowAtEveryInstructionSet) {
  for (const SimdLevel level : levels()) {
    Resizer bilinear(ResizeFilter::kBilinear, level), bicubic(ResizeFilter::kBicubic, level);
    Image out;
    for (const PillowCase& c : kPillow) {
      const Image from = noise_image(c.width, c.height, c.channels);
      (c.filter == ResizeFilter::kBilinear ? bilinear : bicubic).resize(from, c.box, c.size, out);
      EXPECT_EQ(out.size(), c.size);
      EXPECT_EQ(out.channels, c.channels);
      EXPECT_EQ(fnv1a(out.pixels), c.hash) << to_string(level) << " " << c.width << "x" << c.height << "x" << c.channels
                                           << " -> " << c.size.width << "x" << c.size.height;
    }
  }
}

TEST(Resize, InstructionSetsAgreeOnAnyBox) {
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto side = [&](int whole, double& begin, double& end) {
    begin = whole * (below(1000) / 1001.0);
    end = begin + (whole - begin) * ((1 + below(1000)) / 1000.0);
    end = std::min<double>(end, whole);
  };
  std::vector<Resizer> resizers;
  for (const SimdLevel level : levels()) resizers.emplace_back(ResizeFilter::kBicubic, level);
  for (int k = 0; k < 400; ++k) {
    const Image from = noise_image(1 + below(90), 1 + below(90), k % 2 == 0 ? 3 : 1);
    Box box;
    side(from.width, box.left, box.right);
    side(from.height, box.top, box.bottom);
    const ImageSize size = {1 + below(90), 1 + below(90)};
    Image first, other;
    resizers[0].resize(from, box, size, first);
    for (Resizer& resizer : resizers) {
      resizer.resize(from, box, size, other);
      ASSERT_EQ(first.pixels, other.pixels) << k;
    }
  }
}

TEST(Resize, TheSameSizeCopies) {
  const Image from = noise_image(31, 17, 3);
  Image out;
  Resizer().resize(from, {0, 0, 31, 17}, from.size(), out);
  EXPECT_EQ(out.pixels, from.pixels);
}

TEST(Resize, OneColourStaysOneColour) {
  for (const int value : {0, 1, 127, 254, 255}) {
    const Image from = noise_image(1000, 40, 3, value, value);
    Image out;
    for (const ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic})
      for (const ImageSize size : {ImageSize{3, 2}, ImageSize{224, 224}, ImageSize{1500, 100}}) {
        Resizer(filter).resize(from, {0.3, 0.1, 999.9, 39.7}, size, out);
        EXPECT_TRUE(std::all_of(out.pixels.begin(), out.pixels.end(), [&](int p) { return p == value; })) << value;
      }
  }
}

// Weights and memory of one call must not leak into the next.
TEST(Resize, ResultsDoNotDependOnEarlierCalls) {
  Resizer used;
  Image out, fresh;
  for (const PillowCase& c : kPillow)
    for (const int channels : {1, 3}) {
      const Image from = noise_image(c.width, c.height, channels);
      used.resize(from, c.box, c.size, out);
      Resizer().resize(from, c.box, c.size, fresh);
      ASSERT_EQ(out.pixels, fresh.pixels);
    }
}

TEST(Resize, MemoryIsKept) {
  const Image from = noise_image(100, 80, 3);
  Resizer resizer;
  Image out;
  resizer.resize(from, {0, 0, 100, 80}, {32, 32}, out);
  const uint8_t* const memory = out.pixels.data();
  resizer.resize(from, {10, 10, 70, 50}, {32, 32}, out);
  EXPECT_EQ(out.pixels.data(), memory);
}

}  // namespace
}  // namespace convoy
