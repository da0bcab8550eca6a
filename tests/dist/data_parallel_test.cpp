#include "dist/data_parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "core/base/hash.h"
#include "dist/thread_group.h"
#include "tests/core/graph/program_rig.h"

namespace convoy {
namespace {

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
    const Plan pass = make_pass(replica.program().plan(), position, replica.parameters(),
                                {ops, replica.device().compute(), communicator}, policy);
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
  const Plan pass = make_pass(replica.program().plan(), position, replica.parameters(),
                              {*ops, replica.device().compute(), communicator}, policy);
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
      const Plan pass = make_pass(steps, position, replica.parameters(),
                                  {*ops, replica.device().compute(), communicator}, kTinyBuckets);
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
