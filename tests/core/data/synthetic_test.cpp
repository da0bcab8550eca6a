#include "core/data/synthetic.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace convoy {
namespace {

std::vector<uint8_t> image(const Dataset& data, int64_t i, int* label = nullptr) {
  std::vector<uint8_t> pixels(static_cast<size_t>(data.sample().elements()));
  const int found = data.read(i, 0, pixels.data());
  if (label != nullptr) *label = found;
  return pixels;
}

TEST(Synthetic, IsAFunctionOfItsOptions) {
  const SyntheticDataset a({.seed = 7}), b({.seed = 7}), other({.seed = 8});
  EXPECT_EQ(image(a, 5), image(b, 5));
  EXPECT_NE(image(a, 5), image(other, 5));
  EXPECT_NE(image(a, 5), image(a, 15));  // the same class
  EXPECT_EQ(a.fingerprint(), b.fingerprint());
  EXPECT_NE(a.fingerprint(), other.fingerprint());
}

TEST(Synthetic, OffsetContinuesTheSameSequence) {
  const SyntheticDataset all({.size = 30}), tail({.size = 10, .offset = 20});
  int label_all = 0, label_tail = 0;
  EXPECT_EQ(image(all, 23, &label_all), image(tail, 3, &label_tail));
  EXPECT_EQ(label_all, label_tail);
}

TEST(Synthetic, AnyShape) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{1, 7, 3, 5}, Shape{1, 2, 33, 4}})
    EXPECT_EQ(image(SyntheticDataset({.sample = shape}), 0).size(), static_cast<size_t>(shape.elements()));
}

// Nearest class mean, learned from one range, tells the classes of another: the data can be learned, and generalises.
TEST(Synthetic, NearestClassMeanLearnsIt) {
  constexpr int kClasses = 10;
  const SyntheticDataset train({.size = 200, .classes = kClasses}),
      test({.size = 200, .classes = kClasses, .offset = 200});
  const auto elements = static_cast<size_t>(train.sample().elements());
  std::vector<std::vector<double>> means(kClasses, std::vector<double>(elements));
  for (int64_t i = 0; i < train.size(); ++i) {
    int label = 0;
    const std::vector<uint8_t> pixels = image(train, i, &label);
    for (size_t k = 0; k < elements; ++k) means[label][k] += pixels[k] * double{kClasses} / 200;
  }
  int correct = 0;
  for (int64_t i = 0; i < test.size(); ++i) {
    int label = 0, best = -1;
    double least = std::numeric_limits<double>::max();
    const std::vector<uint8_t> pixels = image(test, i, &label);
    for (int c = 0; c < kClasses; ++c) {
      double distance = 0;
      for (size_t k = 0; k < elements; ++k) distance += (pixels[k] - means[c][k]) * (pixels[k] - means[c][k]);
      if (distance < least) best = c, least = distance;
    }
    correct += best == label;
  }
  EXPECT_EQ(correct, 200);
}

}  // namespace
}  // namespace convoy
