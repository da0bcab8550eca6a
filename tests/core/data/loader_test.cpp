#include "core/data/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <thread>

#include "core/data/synthetic.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

using RowKey = std::pair<int64_t, int64_t>;  // step of the run, row of the global batch

struct Row {
  int64_t id;
  Target target;
  std::vector<uint8_t> pixels;
  friend bool operator==(const Row&, const Row&) = default;
};

class LoaderTest : public testing::Test {
 protected:
  // What all ranks of a world get.
  std::map<RowKey, Row> deliver(const Sampler& sampler, int world, Loader::Options options) {
    std::map<RowKey, Row> rows;
    for (options.rank = 0, options.world = world; options.rank < world; ++options.rank) {
      Loader loader(data_, sampler, device_->allocator(), options);
      while (!loader.finished()) add(loader.next(), sampler, rows);
    }
    return rows;
  }

  void add(const Batch& batch, const Sampler& sampler, std::map<RowKey, Row>& rows) {
    const auto bytes = static_cast<size_t>(data_.sample().elements());
    EXPECT_EQ(batch.ids.size(), static_cast<size_t>(batch.valid));
    EXPECT_EQ(batch.first_row, batch.index * sampler.micro_batch_rows());
    for (size_t r = 0; r < batch.targets.size(); ++r) {
      const auto pixels = batch.pixels.subspan(r * bytes, bytes);
      if (r >= batch.ids.size()) {  // padding
        EXPECT_EQ(batch.targets[r], Target{});
        EXPECT_EQ(std::count(pixels.begin(), pixels.end(), 0), static_cast<int64_t>(bytes));
        continue;
      }
      const RowKey key = {batch.epoch * sampler.steps_per_epoch() + batch.step,
                          batch.first_row + static_cast<int64_t>(r)};
      const Row row = {batch.ids[r], batch.targets[r], {pixels.begin(), pixels.end()}};
      EXPECT_TRUE(rows.emplace(key, row).second) << "delivered twice";
    }
  }

  const std::unique_ptr<Device> device_ = make_cpu_device(1);
  const SyntheticDataset data_{{.size = 203, .sample = {1, 5, 3, 2}}};
};

TEST_F(LoaderTest, SameRowsForEveryWorldAndNumberOfThreads) {
  const Sampler sampler({.size = 203, .global_batch = 48, .micro_batch = 8, .seed = 9});
  const auto expected = deliver(sampler, 1, {.prefetch = 1, .end_epoch = 2});
  EXPECT_EQ(expected.size(), 2u * 4 * 48);
  for (int world = 1; world <= 5; ++world)
    for (int threads = 1; threads <= 8; ++threads)
      EXPECT_EQ(deliver(sampler, world, {.threads = threads, .prefetch = 1 + threads / 2, .end_epoch = 2}), expected)
          << world << " ranks, " << threads << " threads";
}

TEST_F(LoaderTest, MixedRowsAreTheSameForEveryWorldAndNumberOfThreads) {
  const Sampler sampler({.size = 203, .global_batch = 48, .micro_batch = 8, .seed = 9, .last = Sampler::Last::kPad});
  const MixOptions mix{.mixup_alpha = 0.4, .cutmix_alpha = 1, .probability = 0.9, .seed = 3};
  const auto plain = deliver(sampler, 1, {.end_epoch = 2}),
             expected = deliver(sampler, 1, {.end_epoch = 2, .mix = mix});
  EXPECT_EQ(expected.size(), 2u * 203);
  int differ = 0, of_two_classes = 0;
  for (const auto& [key, row] : expected) {
    EXPECT_EQ(row.id, plain.at(key).id);
    differ += row == plain.at(key) ? 0 : 1;
    of_two_classes += row.target.a == row.target.b ? 0 : 1;
  }
  EXPECT_GT(differ, 250);
  EXPECT_GT(of_two_classes, 200);
  for (int world = 1; world <= 4; ++world)
    for (const int threads : {1, 3, 8})
      EXPECT_EQ(deliver(sampler, world, {.threads = threads, .end_epoch = 2, .mix = mix}), expected)
          << world << " ranks, " << threads << " threads";
}

TEST_F(LoaderTest, RowsAreThoseOfTheDataSet) {
  const Sampler sampler({.size = 203, .global_batch = 48, .micro_batch = 8, .seed = 9});
  for (const auto& [key, row] : deliver(sampler, 2, {.threads = 2, .end_epoch = 1})) {
    EXPECT_EQ(row.id, permuted(key.first * 48 + key.second, 203, 9, 0));
    std::vector<uint8_t> pixels(row.pixels.size());
    EXPECT_EQ(row.target, Target::of(data_.read(row.id, 0, pixels.data())));
    EXPECT_EQ(row.pixels, pixels);
  }
}

TEST_F(LoaderTest, EvaluationDeliversEachSampleOnceForEveryWorld) {
  const Sampler sampler = Sampler::for_evaluation(203, 16);
  const auto expected = deliver(sampler, 1, {.end_epoch = 1});
  EXPECT_EQ(expected.size(), 203u);
  for (const int world : {2, 3, 4, 5, 20}) EXPECT_EQ(deliver(sampler, world, {.threads = 2, .end_epoch = 1}), expected);
}

TEST_F(LoaderTest, AnEmptyShareIsFinishedAtOnce) {
  const Sampler sampler = Sampler::for_evaluation(203, 128);
  const Loader loader(data_, sampler, device_->allocator(), {.rank = 2, .world = 3});
  EXPECT_TRUE(loader.finished());
}

TEST_F(LoaderTest, AShortLastStepLeavesSomeRanksNothing) {
  const Sampler sampler({.size = 203, .global_batch = 64, .micro_batch = 8, .last = Sampler::Last::kPad});
  const auto expected = deliver(sampler, 1, {.end_epoch = 2});  // 3 x 64 + 11: two micro-batches for 5 ranks
  EXPECT_EQ(expected.size(), 2u * 203);
  EXPECT_EQ(deliver(sampler, 5, {.threads = 3, .end_epoch = 2}), expected);
  EXPECT_EQ(deliver(sampler, 5, {.epoch = 1, .step = 3, .end_epoch = 2}).size(), 11u);
}

TEST_F(LoaderTest, ResumesInTheMiddleOfAnEpoch) {
  const Sampler sampler({.size = 203, .global_batch = 48, .micro_batch = 8});
  auto expected = deliver(sampler, 3, {.end_epoch = 3});
  std::erase_if(expected, [](const auto& entry) { return entry.first.first < 1 * 4 + 2; });
  EXPECT_EQ(deliver(sampler, 2, {.threads = 2, .epoch = 1, .step = 2, .end_epoch = 3}), expected);
}

TEST_F(LoaderTest, CanBeStoppedAtAnyMoment) {
  const Sampler sampler({.size = 203, .global_batch = 48, .micro_batch = 8});
  for (int taken = 0; taken < 12; ++taken) {
    Loader loader(data_, sampler, device_->allocator(), {.threads = 3, .prefetch = 2});
    for (int i = 0; i < taken; ++i) loader.next();
  }
}

// A data set whose sample `bad` cannot be decoded, and that counts reads.
class Failing final : public Dataset {
 public:
  explicit Failing(int64_t bad) : bad_(bad) {}
  int64_t size() const override { return 64; }
  Shape sample() const override { return {}; }
  int classes() const override { return 1; }
  std::string fingerprint() const override { return "failing"; }
  int read(int64_t i, int64_t, uint8_t*) const override {
    ++reads_;
    if (i == bad_) throw Error(ExitCode::kBadData, "sample " + std::to_string(i));
    return 0;
  }
  int reads() const { return reads_; }

 private:
  const int64_t bad_;
  mutable std::atomic<int> reads_ = 0;
};

TEST_F(LoaderTest, AnErrorArrivesWithItsBatchAndStays) {
  const Failing data(21);
  const Sampler sampler({.size = 64, .global_batch = 8, .micro_batch = 4, .shuffle = false});
  for (int threads = 1; threads <= 4; ++threads) {
    Loader loader(data, sampler, device_->allocator(), {.threads = threads});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(loader.next().ids.front(), i * 4);
    for (int again = 0; again < 2; ++again) expect_error(ExitCode::kBadData, {"sample 21"}, [&] { loader.next(); });
  }
}

TEST_F(LoaderTest, OfSeveralErrorsInABatchTheFirstRowIsTold) {
  class AllFail final : public Dataset {
   public:
    int64_t size() const override { return 64; }
    Shape sample() const override { return {1, 256, 256, 1}; }
    int classes() const override { return 1; }
    std::string fingerprint() const override { return "all fail"; }
    int read(int64_t i, int64_t, uint8_t*) const override {
      if (i % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      throw Error(ExitCode::kBadData, "sample " + std::to_string(i));
    }
  };
  const AllFail data;
  const Sampler sampler({.size = 64, .global_batch = 16, .micro_batch = 16, .shuffle = false});
  Loader loader(data, sampler, device_->allocator(), {.threads = 4});
  try {
    loader.next();
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "sample 0");
  }
}

TEST_F(LoaderTest, ReadsNoFurtherAheadThanAsked) {
  const Failing data(-1);
  const Sampler sampler({.size = 64, .global_batch = 8, .micro_batch = 4});
  Loader loader(data, sampler, device_->allocator(), {.threads = 4, .prefetch = 2});
  loader.next();
  while (data.reads() < 12) std::this_thread::yield();  // the batch in use and two ahead
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(data.reads(), 12);
}

// Samples of one at a time that take a while to read, larger than what a worker takes on at once.
class Slow final : public Dataset {
 public:
  explicit Slow(std::chrono::microseconds time) : time_(time) {}
  int64_t size() const override { return 4096; }
  Shape sample() const override { return {1, 256, 256, 1}; }
  int classes() const override { return 1; }
  std::string fingerprint() const override { return "slow"; }
  void will_read(int64_t) const override { ++announced_; }
  int read(int64_t, int64_t, uint8_t*) const override {
    const int now = ++reading_;
    for (int most = most_; now > most && !most_.compare_exchange_weak(most, now);) {
    }
    std::this_thread::sleep_for(time_);
    --reading_;
    ++reads_;
    return 0;
  }
  int most() const { return most_; }  // at the same time
  int reads() const { return reads_; }
  int announced() const { return announced_; }

 private:
  const std::chrono::microseconds time_;
  mutable std::atomic<int> reading_ = 0, most_ = 0, reads_ = 0, announced_ = 0;
};

TEST_F(LoaderTest, ThreadsShareTheSamplesOfABatchAndAnnounceThem) {
  const Slow data(std::chrono::milliseconds(2));
  const Sampler sampler({.size = 4096, .global_batch = 64, .micro_batch = 64});
  Loader loader(data, sampler, device_->allocator(), {.threads = 8, .prefetch = 1});
  loader.next();
  EXPECT_GE(data.most(), 4);  // a busy machine may be late to start the last of them
  EXPECT_GE(data.announced(), 64);
  EXPECT_GE(data.reads(), 64);
}

TEST_F(LoaderTest, StopsAtTheSampleThatIsBeingRead) {
  const Slow data(std::chrono::milliseconds(5));
  const Sampler sampler({.size = 4096, .global_batch = 64, .micro_batch = 64});
  {
    Loader loader(data, sampler, device_->allocator(), {.threads = 4, .prefetch = 32});
    while (data.reads() < 4) std::this_thread::yield();
  }
  EXPECT_LE(data.reads(), 64);  // of 33 batches of 64
}

TEST_F(LoaderTest, AddsThreadsOnlyWhereBatchesAreWaitedFor) {
  const Sampler sampler({.size = 4096, .global_batch = 4, .micro_batch = 4});
  const Loader::Options options = {.threads = 0, .most_threads = 3, .prefetch = 2};
  const Slow slow(std::chrono::milliseconds(1));
  Loader waited_for(slow, sampler, device_->allocator(), options);
  EXPECT_EQ(waited_for.threads(), 1);
  for (int i = 0; i < 64; ++i) waited_for.next();
  EXPECT_EQ(waited_for.threads(), 3);

  const Slow fast(std::chrono::microseconds(1));
  Loader ready(fast, sampler, device_->allocator(), options);
  for (int i = 0; i < 32; ++i) {
    while (fast.reads() < (i + 2) * 4) std::this_thread::yield();  // the next batch and the one behind it
    std::this_thread::sleep_for(std::chrono::milliseconds(5));     // as a step would
    ready.next();
  }
  EXPECT_EQ(ready.threads(), 1);
  EXPECT_EQ(ready.ready(), 2);
}

}  // namespace
}  // namespace convoy
