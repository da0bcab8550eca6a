#include "core/data/ram_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/base/error.h"

namespace convoy {
namespace {

// Tells by its pixels which sample it is; counts reads.
class Counting final : public Dataset {
 public:
  explicit Counting(std::atomic<int>& reads) : reads_(reads) {}
  int64_t size() const override { return 100; }
  Shape sample() const override { return {1, 3, 5, 1}; }
  int classes() const override { return 7; }
  std::string fingerprint() const override { return "counting"; }
  void will_read(int64_t) const override { ++reads_; }
  int read(int64_t i, int64_t, uint8_t* pixels) const override {
    ++reads_;
    if (i == 99) throw Error(ExitCode::kBadData, "99");
    std::fill_n(pixels, 15, static_cast<uint8_t>(i));
    return static_cast<int>(i % 7);
  }

 private:
  std::atomic<int>& reads_;
};

void expect_sample(const Dataset& data, int64_t i) {
  std::vector<uint8_t> pixels(16, 255);
  EXPECT_EQ(data.read(i, 0, pixels.data()), i % 7);
  std::vector<uint8_t> wanted(15, static_cast<uint8_t>(i));
  wanted.push_back(255);
  EXPECT_EQ(pixels, wanted);
}

TEST(RamCache, ReadsEachSampleOnceAndNeverKeepsABadOne) {
  std::atomic<int> reads = 0;
  const RamCache data(std::make_unique<Counting>(reads));
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (int64_t i = 98; i >= 0; --i) expect_sample(data, i);
  }
  EXPECT_EQ(reads, 99);
  data.will_read(5);
  EXPECT_EQ(reads, 99);
  uint8_t pixels[15];
  for (int again = 0; again < 2; ++again) EXPECT_THROW(data.read(99, 0, pixels), Error);
  EXPECT_EQ(reads, 101);
}

TEST(RamCache, ManyThreadsSeeWholeSamples) {
  std::atomic<int> reads = 0;
  const RamCache data(std::make_unique<Counting>(reads));
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int64_t i = 0; i < 3 * 99; ++i) expect_sample(data, i % 99);
    });
  }
  threads.clear();
  EXPECT_LE(reads, 8 * 99);
}

}  // namespace
}  // namespace convoy
