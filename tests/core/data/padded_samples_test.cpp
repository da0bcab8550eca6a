#include "core/data/padded_samples.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/base/error.h"

namespace convoy {
namespace {

// Sample i is i + 1, i + 2, … in order, of class i.
class Counting : public Dataset {
 public:
  explicit Counting(const Shape& sample) : sample_(sample) {}
  int64_t size() const override { return 3; }
  Shape sample() const override { return sample_; }
  int classes() const override { return 3; }
  int read(int64_t i, int64_t, uint8_t* pixels) const override {
    for (int64_t k = 0; k < sample_.elements(); ++k) pixels[k] = static_cast<uint8_t>(i + k + 1);
    return static_cast<int>(i);
  }
  std::string fingerprint() const override { return "counting"; }

 private:
  Shape sample_;
};

std::vector<int> read(const Dataset& set, int64_t i) {
  std::vector<uint8_t> pixels(static_cast<size_t>(set.sample().elements()), 99);
  EXPECT_EQ(set.read(i, 0, pixels.data()), i);
  return {pixels.begin(), pixels.end()};
}

TEST(PaddedSamplesTest, PutsTheImageInTheMiddle) {
  const PaddedSamples set(std::make_unique<Counting>(Shape{1, 2, 1, 1}), {1, 4, 4, 1});
  EXPECT_EQ(read(set, 1), (std::vector<int>{0, 0, 0, 0,  //
                                            0, 2, 0, 0,  //
                                            0, 3, 0, 0,  //
                                            0, 0, 0, 0}));
}

TEST(PaddedSamplesTest, MakesGreyColour) {
  const PaddedSamples set(std::make_unique<Counting>(Shape{1, 1, 2, 1}), {1, 1, 3, 3});
  EXPECT_EQ(read(set, 0), (std::vector<int>{1, 1, 1, 2, 2, 2, 0, 0, 0}));
}

TEST(PaddedSamplesTest, KeepsColour) {
  const PaddedSamples set(std::make_unique<Counting>(Shape{1, 1, 1, 3}), {1, 2, 1, 3});
  EXPECT_EQ(read(set, 0), (std::vector<int>{1, 2, 3, 0, 0, 0}));
}

TEST(PaddedSamplesTest, RefusesWhatDoesNotFit) {
  for (const auto& [from, to] : {std::pair(Shape{1, 5, 4, 1}, Shape{1, 4, 4, 1}),
                                 {Shape{1, 4, 5, 1}, Shape{1, 4, 4, 1}},
                                 {Shape{1, 4, 4, 3}, Shape{1, 4, 4, 1}},
                                 {Shape{1, 4, 4, 2}, Shape{1, 4, 4, 4}}}) {
    EXPECT_THROW(PaddedSamples(std::make_unique<Counting>(from), to), Error) << to_string(from);
  }
}

TEST(PaddedSamplesTest, IsAnotherDataSet) {
  const PaddedSamples set(std::make_unique<Counting>(Shape{1, 2, 1, 1}), {1, 4, 4, 1});
  EXPECT_EQ(set.fingerprint(), "1x4x4x1 around counting");
}

}  // namespace
}  // namespace convoy
