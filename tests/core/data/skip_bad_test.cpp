#include "core/data/skip_bad.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/core/base/testing.h"

namespace convoy {
namespace {

// Each sample is its own number; `bad` ones cannot be read.
class Numbers final : public Dataset {
 public:
  explicit Numbers(std::set<int64_t> bad, ExitCode code = ExitCode::kBadData) : bad_(std::move(bad)), code_(code) {}
  int64_t size() const override { return 100; }
  Shape sample() const override { return {1, 1, 1, 1}; }
  int classes() const override { return 100; }
  int read(int64_t i, int64_t, uint8_t* pixels) const override {
    *pixels = static_cast<uint8_t>(i);
    if (bad_.contains(i)) throw Error(code_, "sample " + std::to_string(i) + ".jpg: cut");
    return static_cast<int>(i);
  }
  std::string fingerprint() const override { return "numbers"; }

 private:
  const std::set<int64_t> bad_;
  const ExitCode code_;
};

TEST(SkipBad, TheNextGoodSampleTakesThePlaceAndTheBadOneIsReportedOnce) {
  std::vector<BadSample> reports;
  const SkipBad data(std::make_unique<Numbers>(std::set<int64_t>{7, 8, 99}), 3,
                     [&](const BadSample& bad) { reports.push_back(bad); });
  uint8_t pixel = 0;
  EXPECT_EQ(data.read(6, 0, &pixel), 6);
  for (int epoch = 0; epoch < 2; ++epoch) {
    EXPECT_EQ(data.read(7, epoch, &pixel), 9);
    EXPECT_EQ(pixel, 9);
    EXPECT_EQ(data.read(99, epoch, &pixel), 0);
  }
  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports[0].id, 7);
  EXPECT_EQ(reports[0].replacement, 9);
  EXPECT_EQ(reports[0].reason, "sample 7.jpg: cut");
  EXPECT_EQ(reports[1].id, 8);
  EXPECT_EQ(reports[1].replacement, 9);
  EXPECT_EQ(reports[2].id, 99);
}

TEST(SkipBad, TheSameSamplesInAnotherShapeCountOnce) {
  const auto known = std::make_shared<SkipBad::Known>();
  int reports = 0;
  const auto make = [&] {
    return SkipBad(
        std::make_unique<Numbers>(std::set<int64_t>{1, 3}), 2, [&](const BadSample&) { ++reports; }, known);
  };
  const SkipBad small = make(), large = make();
  uint8_t pixel = 0;
  EXPECT_EQ(small.read(1, 0, &pixel), 2);
  EXPECT_EQ(large.read(1, 1, &pixel), 2);
  EXPECT_EQ(large.read(3, 1, &pixel), 4);
  EXPECT_EQ(reports, 2);
}

TEST(SkipBad, StopsAboveTheLimit) {
  int reports = 0;
  const SkipBad data(std::make_unique<Numbers>(std::set<int64_t>{1, 3, 5}), 2, [&](const BadSample&) { ++reports; });
  uint8_t pixel = 0;
  EXPECT_EQ(data.read(1, 0, &pixel), 2);
  EXPECT_EQ(data.read(3, 0, &pixel), 4);
  EXPECT_EQ(data.read(1, 1, &pixel), 2);  // known already
  expect_error(ExitCode::kBadData,
               {"more than 2 of 100 samples cannot be read (data.max_bad); the last: sample 5.jpg: cut"},
               [&] { data.read(5, 0, &pixel); });
  EXPECT_EQ(reports, 3);
  EXPECT_EQ(data.read(6, 0, &pixel), 6);  // by a thread that does not know yet
}

TEST(SkipBad, OtherErrorsAndDataWithoutAnyGoodSamplePassThrough) {
  uint8_t pixel = 0;
  const SkipBad memory(std::make_unique<Numbers>(std::set<int64_t>{1}, ExitCode::kOutOfMemory), 9, [](auto&) {});
  expect_error(ExitCode::kOutOfMemory, {"sample 1.jpg: cut"}, [&] { memory.read(1, 0, &pixel); });
  std::set<int64_t> all;
  for (int64_t i = 0; i < 100; ++i) all.insert(i);
  const SkipBad none(std::make_unique<Numbers>(all), 100, [](auto&) {});
  expect_error(ExitCode::kBadData, {"the last: sample 5.jpg: cut"}, [&] { none.read(5, 0, &pixel); });
}

// Where a whole disk is gone, nobody walks through all of what was on it.
TEST(SkipBad, GivesUpAfterAsManyAsMayBeBad) {
  std::set<int64_t> bad;
  for (int64_t i = 10; i < 90; ++i) bad.insert(i);
  int reports = 0;
  const SkipBad data(std::make_unique<Numbers>(bad, ExitCode::kNoInput), 5, [&](const BadSample&) { ++reports; });
  uint8_t pixel = 0;
  expect_error(ExitCode::kBadData, {"more than 5 of 100", "the last: sample 20.jpg: cut"},
               [&] { data.read(20, 0, &pixel); });
  EXPECT_EQ(reports, 6);
  EXPECT_EQ(pixel, 25);  // the last that was tried
}

TEST(SkipBad, ReportsComeOneAtATimeFromManyThreads) {
  std::set<int64_t> bad;
  for (int64_t i = 0; i < 100; i += 2) bad.insert(i);
  int reports = 0;
  const SkipBad data(std::make_unique<Numbers>(bad), 50, [&](const BadSample&) { ++reports; });
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      uint8_t pixel = 0;
      for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(data.read(i, 0, &pixel), i % 2 == 0 ? (i + 1) : i);
    });
  }
  threads.clear();
  EXPECT_EQ(reports, 50);
}

}  // namespace
}  // namespace convoy
