#include "dist/data_parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <random>

#include "core/base/hash.h"
#include "dist/thread_group.h"
#include "tests/core/graph/program_rig.h"
#include "tests/dist/weights_layer.h"

namespace convoy {
namespace {

// ---- Buckets

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

// ---- Passes

// Rank 0 of a group whose other ranks contribute `others`, a buffer like the gradients.  A reduction takes place when
// it is enqueued (eager), or as late as the contract allows: whichever is too early or too late gives wrong sums.
class ScriptedCommunicator : public Communicator, private Stream {
 public:
  ScriptedCommunicator(int size, bool eager) : size_(size), eager_(eager) {}
  std::vector<float> others;
  const float* gradients = nullptr;
  int progress_calls = 0;

  int rank() const override { return 0; }
  int size() const override { return size_; }
  int local_rank() const override { return 0; }
  int local_size() const override { return size_; }
  std::string name() const override { return "scripted"; }
  Allocator& allocator() override { return device_->allocator(); }
  Stream& stream() override { return *this; }
  void all_reduce_sum(Tensor inout) override {
    EXPECT_EQ(inout.type.dtype, Dtype::kF32);
    EXPECT_TRUE(waited_) << "reduces what the compute stream may still write";
    waited_ = false;
    queue_.push_back(inout);
    if (eager_) synchronize();
  }
  // The waits of these tests are for all that was given.
  std::unique_ptr<Event> make_event() override { return std::make_unique<All>(stream()); }
  void progress() override { ++progress_calls; }
  int64_t in_flight() override { return static_cast<int64_t>(queue_.size()); }

  void reduce_scatter_sum(Tensor) override { ADD_FAILURE(); }
  void all_gather(Tensor) override { ADD_FAILURE(); }
  void broadcast(Tensor, int) override { ADD_FAILURE(); }
  void barrier() override { ADD_FAILURE(); }
  std::vector<std::string> all_gather_bytes(const std::string&) override { return {}; }
  std::string broadcast_bytes(const std::string&, int) override { return {}; }
  [[noreturn]] void abort(ExitCode code) noexcept override { std::exit(static_cast<int>(code)); }

 private:
  class All : public Event {
   public:
    explicit All(Stream& stream) : stream_(stream) {}
    void record(Stream& stream) override { EXPECT_EQ(&stream, &stream_); }
    void wait() override { stream_.synchronize(); }

   private:
    Stream& stream_;
  };
  void wait_for(Stream&) override { waited_ = true; }
  void synchronize() override {
    for (const Tensor& slice : queue_) {
      const auto begin = static_cast<size_t>(slice.as<float>() - gradients);
      for (size_t i = 0; i < static_cast<size_t>(slice.type.shape.elements()); ++i) {
        slice.as<float>()[i] += others.at(begin + i);
      }
    }
    queue_.clear();
  }

  const std::unique_ptr<Device> device_ = make_cpu_device(1);
  const int size_;
  const bool eager_;
  bool waited_ = false;
  std::deque<Tensor> queue_;
};

// A residual network with whole numbers everywhere, so that sums are exact in any order.
class Replica : public fake::ProgramRig {
 public:
  explicit Replica(Allocator& gradient_allocator) {
    const ValueId image = input({1, 1, 2, 3});
    const ValueId a = add("a", "affine", {image}, 2);
    const ValueId b = add("b", "scale", {add("count", "count", {a})}, -1);
    const ValueId frozen = add("frozen", "scale", {b}, 2);
    const ValueId c = add("c", "affine", {add("r", "relu", {frozen})}, 3);
    const ValueId d = add("d", "scale", {add("sum", "add", {c, a})});
    add("loss", "loss", {d});
    graph.freeze(3);
    compile({}, gradient_allocator);
  }
  void load(int micro_batch) {
    for (int i = 0; i < 6; ++i) image()[i] = scale_ * static_cast<float>((micro_batch * 5 + i * 7) % 9 - 4);
  }
  void scale_images(float scale) { scale_ = scale; }
  std::vector<float> reduced() {
    const float* begin = parameters().gradients();
    return {begin, begin + parameters().reduced_elements()};
  }
  // What one micro-batch alone contributes.
  std::vector<float> contribution(int micro_batch) {
    load(micro_batch);
    std::fill_n(parameters().batch_state(), parameters().reduced_elements() - parameters().trainable_elements(), 0.0F);
    run_poisoned();
    return reduced();
  }

 private:
  float scale_ = 1;
};

std::vector<float> sum_of(Replica& replica, int begin, int end) {
  std::vector<float> sum(static_cast<size_t>(replica.parameters().reduced_elements()));
  for (int i = begin; i < end; ++i) {
    const std::vector<float> one = replica.contribution(i);
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += one[k];
  }
  return sum;
}

constexpr BucketPolicy kTinyBuckets{.bytes = 1};

// Runs `passes` micro-batches, from number `first`, as one step of a rank.
void run_step(Replica& replica, Communicator& communicator, FlatOps& ops, int first, int passes,
              const BucketPolicy& policy) {
  for (int i = 0; i < passes; ++i) {
    const PassPosition position{i == 0, i + 1 == passes};
    const Plan pass = make_pass(replica.program().plan(), position, replica.parameters(), ops,
                                replica.device().compute(), communicator, policy);
    replica.load(first + i);
    pass.run();
  }
}

TEST(MakePass, SumsPassesAndRanksExactly) {
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
  for (int ranks = 1; ranks <= 3; ++ranks) {
    for (int passes = 1; passes <= 3; ++passes) {
      for (bool eager : {true, false}) {
        for (bool overlap : {true, false}) {
          SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(passes) + " passes");
          ScriptedCommunicator communicator(ranks, eager);
          Replica replica(communicator.allocator());
          communicator.gradients = replica.parameters().gradients();
          communicator.others = sum_of(replica, passes, ranks * passes);
          const std::vector<float> expected = sum_of(replica, 0, ranks * passes);
          BucketPolicy policy = kTinyBuckets;
          policy.overlap = overlap;
          for (int step : {0, 1}) {  // the second finds what the first left behind
            run_step(replica, communicator, *ops, 0, passes, policy);
            EXPECT_EQ(replica.reduced(), expected) << "step " << step;
          }
          EXPECT_EQ(communicator.progress_calls > 0, ranks > 1);
        }
      }
    }
  }
}

std::vector<std::string> names_of(PassPosition position, int ranks, const BucketPolicy& policy = kTinyBuckets) {
  ScriptedCommunicator communicator(ranks, true);
  Replica replica(communicator.allocator());
  const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
  const Plan pass = make_pass(replica.program().plan(), position, replica.parameters(), *ops,
                              replica.device().compute(), communicator, policy);
  std::vector<std::string> names;
  for (const Step& step : pass.steps()) {
    EXPECT_EQ(step.communicates, step.name.starts_with("reduce")) << step.name;
    EXPECT_EQ(step.capturable, !step.communicates && !step.waits) << step.name;
    const bool forward = step.name.ends_with(" forward");
    if (!forward && !step.name.ends_with("backward") && !step.name.ends_with("backward_data"))
      names.push_back(step.name);
  }
  return names;
}

using Names = std::vector<std::string>;

TEST(MakePass, ReductionsStandWhereTheirGradientsAreFinal) {
  EXPECT_EQ(names_of({true, true}, 2),
            (Names{"clear statistics and control", "d backward_weights", "reduce bucket 0", "c backward_weights",
                   "reduce bucket 1", "b backward_weights", "reduce bucket 2", "a backward_weights", "reduce bucket 3",
                   "join bucket 0", "join bucket 1", "join bucket 2", "join bucket 3"}));
}

TEST(MakePass, AccumulatedGradientsJoinEachBucketBeforeItTravels) {
  EXPECT_EQ(names_of({false, true}, 2),
            (Names{"d backward_weights", "gradients += accumulated", "reduce bucket 0", "c backward_weights",
                   "gradients += accumulated", "reduce bucket 1", "b backward_weights", "gradients += accumulated",
                   "reduce bucket 2", "a backward_weights", "gradients += accumulated", "reduce bucket 3",
                   "join bucket 0", "join bucket 1", "join bucket 2", "join bucket 3"}));
}

TEST(MakePass, OneRankSeesNoCommunication) {
  const Names backward{"d backward_weights", "c backward_weights", "b backward_weights", "a backward_weights"};
  Names expected = backward;
  expected.insert(expected.begin(), "clear statistics and control");
  EXPECT_EQ(names_of({true, true}, 1), expected);
  expected.push_back("accumulated = gradients");
  EXPECT_EQ(names_of({true, false}, 1), expected);
  expected = backward;
  expected.push_back("accumulated += gradients");
  EXPECT_EQ(names_of({false, false}, 3), expected);
  expected.back() = "gradients += accumulated";
  EXPECT_EQ(names_of({false, true}, 1), expected);
}

TEST(MakePass, WhatAStepGathersIsThereBeforeTheNext) {
  run_thread_group(3, [](Communicator& communicator) {
    Replica replica(communicator.allocator());
    const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
    std::vector<float> numbers(6), read;
    Plan steps;
    Step step;
    step.name = "tell";
    step.run = [&] { std::ranges::fill(numbers, static_cast<float>(communicator.rank())); };
    step.gathered = {numbers.data(), {Shape{1, 1, 1, 6}}};
    steps.append(step);
    step.name = "read";
    step.run = [&] { read = numbers; };
    step.gathered = {};
    steps.append(step);
    for (const PassPosition position : {PassPosition{true, false}, PassPosition{false, true}}) {
      const Plan pass = make_pass(steps, position, replica.parameters(), *ops, replica.device().compute(), communicator,
                                  kTinyBuckets);
      std::vector<std::string> names;
      for (const Step& it : pass.steps()) names.push_back(it.name);
      const auto tell = std::ranges::find(names, "tell");
      EXPECT_EQ(std::vector(tell, tell + 4), (std::vector<std::string>{"tell", "all_gather tell", "join", "read"}));
      pass.run();
      EXPECT_EQ(read, (std::vector<float>{0, 0, 1, 1, 2, 2}));
    }
  });
}

// ---- Gradients that travel as bf16

TEST(MakePass, AsBf16EachBucketIsConvertedBeforeItTravelsAndAllAreBehindTheJoin) {
  BucketPolicy policy = kTinyBuckets;
  policy.dtype = Dtype::kBF16;
  EXPECT_EQ(names_of({false, true}, 2, policy), (Names{"d backward_weights",
                                                       "reduce bucket 0",
                                                       "gradients += accumulated",
                                                       "to bf16 bucket 1",
                                                       "reduce bucket 1",
                                                       "c backward_weights",
                                                       "gradients += accumulated",
                                                       "to bf16 bucket 2",
                                                       "reduce bucket 2",
                                                       "b backward_weights",
                                                       "gradients += accumulated",
                                                       "to bf16 bucket 3",
                                                       "reduce bucket 3",
                                                       "a backward_weights",
                                                       "gradients += accumulated",
                                                       "to bf16 bucket 4",
                                                       "reduce bucket 4",
                                                       "join bucket 0",
                                                       "join bucket 1",
                                                       "from bf16 bucket 1",
                                                       "join bucket 2",
                                                       "from bf16 bucket 2",
                                                       "join bucket 3",
                                                       "from bf16 bucket 3",
                                                       "join bucket 4",
                                                       "from bf16 bucket 4"}));
}

float rounded(double value) { return bf16_to_f32(f32_to_bf16(static_cast<float>(value))); }

// Of parameters, the sum of what each rank rounds to bf16, rounded; all else is exact, as with one rank all is.
std::vector<float> sum_as_bf16(Replica& replica, int ranks, int passes) {
  const auto trainable = static_cast<size_t>(ranks > 1 ? replica.parameters().trainable_elements() : 0);
  std::vector<double> sum(static_cast<size_t>(replica.parameters().reduced_elements()));
  for (int r = 0; r < ranks; ++r) {
    const std::vector<float> one = sum_of(replica, r * passes, (r + 1) * passes);
    for (size_t k = 0; k < sum.size(); ++k) sum[k] += k < trainable ? rounded(one[k]) : one[k];
  }
  std::vector<float> result;
  for (size_t k = 0; k < sum.size(); ++k)
    result.push_back(k < trainable ? rounded(sum[k]) : static_cast<float>(sum[k]));
  return result;
}

void expect_equal_replicas(Replica& replica, Communicator& communicator) {
  const std::vector<float> mine = replica.reduced();
  const std::string hash = hash128_hex({reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(float)});
  for (const std::string& theirs : communicator.all_gather_bytes(hash)) EXPECT_EQ(theirs, hash);
}

TEST(MakePass, AsBf16SumsExactlyWhatRanksRound) {
  for (int ranks = 1; ranks <= 5; ++ranks) {
    for (int passes = 1; passes <= 3; ++passes) {
      for (const bool overlap : {true, false}) {
        run_thread_group(ranks, [&](Communicator& communicator) {
          SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(passes) + " passes");
          const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
          const BucketPolicy policy{.bytes = 1, .overlap = overlap, .dtype = Dtype::kBF16};
          Replica replica(communicator.allocator());
          const std::vector<float> expected = sum_as_bf16(replica, ranks, passes);
          for (int step : {0, 1}) {
            run_step(replica, communicator, *ops, communicator.rank() * passes, passes, policy);
            EXPECT_EQ(replica.reduced(), expected) << "step " << step;
          }
          replica.scale_images(1 / 3.0F);  // sums that are not exact
          run_step(replica, communicator, *ops, communicator.rank() * passes, passes, policy);
          expect_equal_replicas(replica, communicator);
        });
      }
    }
  }
}

// How far the gradients of `steps` equal steps, summed up, are from the exact sum, at most, by the gradient; of two
// ranks only the first has any, so that their sum needs no rounding.
double drift_as_bf16(int steps, bool feedback) {
  double worst = 0;
  run_thread_group(2, [&](Communicator& communicator) {
    const std::unique_ptr<FlatOps> ops = make_cpu_flat_ops();
    Replica replica(communicator.allocator());
    replica.scale_images(1 / 3.0F);
    const std::vector<float> exact = replica.contribution(0);
    if (communicator.rank() == 1) replica.scale_images(0);
    const BucketPolicy policy{.bytes = 1, .dtype = Dtype::kBF16, .error_feedback = feedback};
    std::vector<double> sum(static_cast<size_t>(replica.parameters().trainable_elements()));
    for (int step = 0; step < steps; ++step) {
      run_step(replica, communicator, *ops, 0, 1, policy);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += double{replica.reduced()[i]};
    }
    if (communicator.rank() == 1) return;
    for (size_t i = 0; i < sum.size(); ++i) {
      if (exact[i] == 0) continue;
      worst = std::max(worst, std::abs(sum[i] - steps * double{exact[i]}) / std::abs(double{exact[i]}));
    }
  });
  return worst;
}

TEST(MakePass, WithErrorFeedbackWhatRoundingTakesComesLater) {
  EXPECT_GT(drift_as_bf16(200, false), 0.1);
  EXPECT_LE(drift_as_bf16(200, true), 0x1.0p-7);  // that of one step
}

}  // namespace
}  // namespace convoy
