#include "core/data/memory_dataset.h"

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

MemoryDataset make(const std::vector<int32_t>& labels, int classes = 3) {
  return {{2, {1, 1, 2, 1}}, classes, {'a', 'b', 'c', 'd'}, labels, {"images", "labels"}};
}

TEST(MemoryDataset, SamplesAndLabels) {
  const MemoryDataset data = make({2, 0});
  EXPECT_EQ(data.size(), 2);
  EXPECT_EQ(data.sample(), (Shape{1, 1, 2, 1}));
  EXPECT_EQ(data.classes(), 3);
  uint8_t pixels[2];
  EXPECT_EQ(data.read(1, 0, pixels), 0);
  EXPECT_EQ(pixels[0], 'c');
  EXPECT_EQ(pixels[1], 'd');
  EXPECT_EQ(data.read(0, 7, pixels), 2);
  EXPECT_EQ(pixels[0], 'a');
}

TEST(MemoryDataset, WhatDoesNotFitIsNamed) {
  expect_error(ExitCode::kBadData, {"labels: sample 1: expected a label of 0 to 2, found 3"}, [] { make({0, 3}); });
  expect_error(ExitCode::kBadData, {"labels: sample 0: expected a label of 0 to 2, found -1"}, [] { make({-1, 3}); });
  expect_error(ExitCode::kBadData, {"labels: expected 2 labels, as many as images in images, found 3"}, [] {
    make({0, 0, 0});
  });
}

TEST(MemoryDataset, LeavesOutIgnoredLabels) {
  const auto make_ignoring = [](const std::vector<int32_t>& labels, int ignored) {
    return MemoryDataset({4, {1, 1, 1, 1}}, 3, {'a', 'b', 'c', 'd'}, labels, {"images", "labels"}, ignored);
  };
  for (const int ignored : {255, -1, 1}) {
    const MemoryDataset data = make_ignoring({ignored, 2, ignored, 0}, ignored);
    ASSERT_EQ(data.size(), 2);
    uint8_t pixel = 0;
    EXPECT_EQ(data.read(0, 0, &pixel), 2);
    EXPECT_EQ(pixel, 'b');
    EXPECT_EQ(data.read(1, 0, &pixel), 0);
    EXPECT_EQ(pixel, 'd');
    EXPECT_EQ(data.fingerprint(),
              MemoryDataset({2, {1, 1, 1, 1}}, 3, {'b', 'd'}, {2, 0}, {"images", "labels"}).fingerprint());
  }
  EXPECT_EQ(make_ignoring({0, 1, 2, 0}, 255).size(), 4);
  expect_error(ExitCode::kBadData, {"labels: sample 3: expected a label of 0 to 2, found 7"}, [&] {
    make_ignoring({255, 2, 255, 7}, 255);
  });
  expect_error(ExitCode::kBadData, {"labels: every sample has the label to be ignored, 9"}, [&] {
    make_ignoring({9, 9, 9, 9}, 9);
  });
}

// Checkpoints hold it: this one is what the first release computed.
TEST(MemoryDataset, TheFingerprintOfSmallLabelsStays) {
  EXPECT_EQ(make({2, 0}).fingerprint(), "c24aaba33a4b103b63bd64a90b92e1ce");
}

TEST(MemoryDataset, TheFingerprintFollowsLargeLabels) {
  const std::string first = make({256, 0}, 1000).fingerprint();
  EXPECT_EQ(make({256, 0}, 1000).fingerprint(), first);
  EXPECT_NE(make({0, 0}, 1000).fingerprint(), first);
  EXPECT_NE(make({256, 1}, 1000).fingerprint(), first);
}

TEST(ImagesHeader, IsOfThreeOrFourDimensions) {
  const auto header = [](const std::vector<int64_t>& dims) { return images_header(dims, "f"); };
  EXPECT_EQ(header({7, 2, 3}).sample, (Shape{1, 2, 3, 1}));
  EXPECT_EQ(header({7, 2, 3, 4}).sample, (Shape{1, 2, 3, 4}));
  EXPECT_EQ(header({7, 2, 3}).size, 7);
  expect_error(ExitCode::kBadData, {"f: expected images (n, h, w", "7x2"}, [&] { header({7, 2}); });
  expect_error(ExitCode::kBadData, {"f: expected images (n, h, w", "1x1x1x1x1"}, [&] { header({1, 1, 1, 1, 1}); });
  expect_error(ExitCode::kBadData, {"f: expected images (n, h, w", "scalar"}, [&] { header({}); });
  expect_error(ExitCode::kBadData, {"one image or more", "0x2x3"}, [&] { header({0, 2, 3}); });
  expect_error(ExitCode::kBadData, {"one image or more", "7x2x0"}, [&] { header({7, 2, 0}); });
  const int64_t huge = int64_t{1} << 40;
  expect_error(ExitCode::kBadData, {"at most 2147483647 bytes"}, [&] { header({7, 65536, 65536}); });
  expect_error(ExitCode::kBadData, {"at most 2147483647 bytes"}, [&] { header({7, huge, huge}); });
}

}  // namespace
}  // namespace convoy
