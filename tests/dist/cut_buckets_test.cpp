#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "dist/data_parallel.h"
#include "dist/thread_group.h"
#include "tests/dist/weights_layer.h"

namespace convoy {
namespace {

// A network of layers with `elements` parameters each, and the plan that its backward pass would be.
class Layered {
 public:
  explicit Layered(const std::vector<int>& elements) : parameters_(layers_of(elements), allocator(), allocator()) {
    append("forward");
    for (size_t i = elements.size(); i-- > 0;) append_backward(i);
    append("behind");
  }
  explicit Layered(const std::vector<int>& elements, const std::vector<size_t>& backward_order)
      : parameters_(layers_of(elements), allocator(), allocator()) {
    append("forward");
    for (size_t i : backward_order) append_backward(i);
  }

  const Parameters& parameters() const { return parameters_; }
  const Plan& plan() const { return plan_; }
  std::vector<GradientBucket> cut(const BucketPolicy& policy) const { return cut_buckets(plan_, parameters_, policy); }

 private:
  Allocator& allocator() { return device_->allocator(); }
  void append(const std::string& name, int64_t gradient_begin = 0, int64_t gradient_end = 0) {
    Step step;
    step.name = name;
    step.gradient_begin = gradient_begin;
    step.gradient_end = gradient_end;
    plan_.append(step);
  }
  void append_backward(size_t layer) {
    const ParameterSlot& slot = parameters_.slots()[layer];
    append(slot.name, slot.offset, slot.offset + slot.elements());
  }

  std::unique_ptr<Device> device_ = make_cpu_device(1);
  Parameters parameters_;
  Plan plan_;
};

using Row = std::array<int64_t, 3>;  // begin, end, ready_after

std::vector<Row> rows(const std::vector<GradientBucket>& buckets) {
  std::vector<Row> result;
  for (const GradientBucket& it : buckets) result.push_back({it.begin, it.end, static_cast<int64_t>(it.ready_after)});
  return result;
}

constexpr int64_t bytes(int64_t elements) { return elements * 4; }

TEST(CutBuckets, FromTheEndInTheOrderOfTheBackwardPass) {
  const Layered net({128, 256, 256, 100});  // offsets 0, 128, 384, 640; 768 elements
  EXPECT_EQ(rows(net.cut({.bytes = bytes(129)})),
            (std::vector<Row>{{640, 768 + kControlSize, 1}, {384, 640, 2}, {128, 384, 3}, {0, 128, 5}}));
  EXPECT_EQ(rows(net.cut({.bytes = bytes(300)})), (std::vector<Row>{{384, 768 + kControlSize, 2}, {0, 384, 4}}));
}

TEST(CutBuckets, WhatHasComeBeforeTheLastGradientsLeaves) {
  const Layered net({128, 256, 256, 100});
  const Row first{384, 768 + kControlSize, 2};
  EXPECT_EQ(rows(net.cut({.bytes = bytes(300), .last_bytes = bytes(256)})),
            (std::vector<Row>{first, {128, 384, 3}, {0, 128, 5}}));
  EXPECT_EQ(rows(net.cut({.bytes = bytes(300), .last_bytes = bytes(128)})),
            (std::vector<Row>{first, {128, 384, 3}, {0, 128, 4}}));
  EXPECT_EQ(rows(net.cut({.bytes = bytes(300), .last_bytes = bytes(257)})), (std::vector<Row>{first, {0, 384, 4}}));
}

TEST(CutBuckets, ByTimeABucketTakesTenTimesTheLatency) {
  const auto cut = [](const SumTime& time) {
    BucketPolicy policy{.by_time = true, .overlap = false, .dtype = Dtype::kBF16};
    cut_by(time, policy);
    EXPECT_FALSE(policy.by_time);
    EXPECT_FALSE(policy.overlap);
    EXPECT_EQ(policy.dtype, Dtype::kBF16);
    return std::pair(policy.bytes, policy.last_bytes);
  };
  EXPECT_EQ(cut({.latency = 1e-3, .bytes_per_second = 1e8}), std::pair(int64_t{900'000}, int64_t{100'000}));
  EXPECT_EQ(cut({.latency = 0, .bytes_per_second = 1e9}).first, 4096);
  EXPECT_EQ(cut({.latency = 1, .bytes_per_second = 1e12}).first, 256 << 20);
}

TEST(MeasureSum, IsTheSameOnAllRanks) {
  run_thread_group(3, [](Communicator& communicator) {
    const SumTime time = measure_sum(communicator);
    EXPECT_GT(time.latency, 0);
    EXPECT_GT(time.bytes_per_second, 0);
    const std::string mine(reinterpret_cast<const char*>(&time), sizeof time);
    for (const std::string& theirs : communicator.all_gather_bytes(mine)) EXPECT_EQ(theirs, mine);
  });
}

TEST(CutBuckets, WithoutOverlapOneBucketAfterTheLastStep) {
  const Layered net({128, 256, 256, 100});
  EXPECT_EQ(rows(net.cut({.bytes = 1, .overlap = false})), (std::vector<Row>{{0, 768 + kControlSize, 5}}));
}

TEST(CutBuckets, ASmallNetworkIsOneBucket) {
  EXPECT_EQ(rows(Layered({10, 20}).cut({})), (std::vector<Row>{{0, 256 + kControlSize, 3}}));
}

TEST(CutBuckets, WithoutParametersTheControlBlockTravelsAlone) {
  EXPECT_EQ(rows(Layered(std::vector<int>{}).cut({})), (std::vector<Row>{{0, kControlSize, 1}}));
}

TEST(CutBuckets, WaitsForTheLayerInBetween) {
  const Layered net({128, 128, 128, 128}, {3, 1, 0, 2});
  EXPECT_EQ(rows(net.cut({.bytes = 1})), (std::vector<Row>{{384, 512 + kControlSize, 1}, {0, 384, 4}}));
}

TEST(CutBuckets, AParameterWithoutGradientHoldsBackNothingButWhatLiesBelow) {
  const Layered net({128, 128, 128, 128}, {3, 2, 0});  // no loss reads layer 1
  EXPECT_EQ(rows(net.cut({.bytes = 1})), (std::vector<Row>{{384, 512 + kControlSize, 1}, {256, 384, 2}, {0, 256, 3}}));
}

TEST(CutBuckets, AsBf16CountsTravelAloneAndBucketsHoldTwiceAsMany) {
  const Layered net({128, 256, 256, 100});
  EXPECT_EQ(rows(net.cut({.bytes = bytes(250), .dtype = Dtype::kBF16})),
            (std::vector<Row>{{768, 768 + kControlSize, 3}, {128, 768, 3}, {0, 128, 5}}));
  EXPECT_EQ(rows(Layered(std::vector<int>{}).cut({.dtype = Dtype::kBF16})), (std::vector<Row>{{0, kControlSize, 1}}));
}

// What must hold for every network, order and policy.
void expect_sound(const Layered& net, const BucketPolicy& policy) {
  const std::vector<GradientBucket> buckets = net.cut(policy);
  const std::vector<Step>& steps = net.plan().steps();
  int64_t end = net.parameters().reduced_elements();
  for (size_t i = 0; i < buckets.size(); ++i) {
    const GradientBucket& bucket = buckets[i];
    EXPECT_EQ(bucket.end, end) << "no gap and no overlap";
    EXPECT_LT(bucket.begin, bucket.end);
    const bool last = i + 1 == buckets.size();
    if (!last) {
      EXPECT_GE(bytes(bucket.end - bucket.begin), std::min(policy.bytes, policy.last_bytes));
    }
    if (i > 0) {
      EXPECT_LT(buckets[i - 1].ready_after, bucket.ready_after);
    }
    size_t final_after = 0;
    for (size_t step = 0; step < steps.size(); ++step) {
      const bool touches = steps[step].gradient_begin < bucket.end && bucket.begin < steps[step].gradient_end;
      if (steps[step].gradient_end > 0 && touches) final_after = step;
    }
    EXPECT_LE(final_after, bucket.ready_after);
    end = bucket.begin;
  }
  EXPECT_EQ(end, 0);
}

TEST(CutBuckets, RandomNetworksAreCoveredExactlyAndOnlyWhenReady) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    std::vector<int> elements(1 + random() % 12);
    for (int& it : elements) it = static_cast<int>(1 + random() % 600);
    std::vector<size_t> order(elements.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
    for (size_t swaps = random() % 4; swaps > 0; --swaps) {
      std::swap(order[random() % order.size()], order[random() % order.size()]);
    }
    if (round % 5 == 0) order.pop_back();
    const auto last = static_cast<int64_t>(random() % 1500), more = static_cast<int64_t>(random() % 6000);
    expect_sound(Layered(elements, order), {.bytes = more, .last_bytes = last});
  }
}

}  // namespace
}  // namespace convoy
