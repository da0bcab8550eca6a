// The communicators of GPUs do what every communicator does; captured passes sum exactly, again and again.
#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "core/graph/plan_runner.h"
#include "core/train/flat_ops_cuda.h"
#include "dist/data_parallel.h"
#include "tests/dist/collective_checks.h"
#include "tests/dist/gpu_ranks.h"

namespace convoy {
namespace {

struct Case {
  int ranks;
  Sums sums;
};

std::string name_of(const testing::TestParamInfo<Case>& info) {
  const char* const names[] = {"ByNccl", "ByNcclUnregistered", "ThroughHost"};
  return std::string(names[static_cast<int>(info.param.sums)]) + std::to_string(info.param.ranks);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (int ranks = 1; ranks <= 8; ++ranks) {
    cases.push_back({ranks, Sums::kByNccl});
    cases.push_back({ranks, Sums::kThroughHost});
  }
  for (const int ranks : {1, 2, 5}) cases.push_back({ranks, Sums::kByNcclUnregistered});
  return cases;
}

class GpuCommunicators : public testing::TestWithParam<Case> {
 protected:
  static void run(const std::function<void(Communicator&, Device&)>& body) {
    run_gpu_ranks(GetParam().ranks, GetParam().sums, body);
    EXPECT_EQ(cuda_on_cpu::live(), cuda_on_cpu::Live{}) << "something was not freed";
  }
};

TEST_P(GpuCommunicators, Memory) { run(check_memory); }
TEST_P(GpuCommunicators, AllReduce) { run(check_all_reduce); }
TEST_P(GpuCommunicators, ReduceScatterAndAllGather) { run(check_reduce_scatter_and_all_gather); }
TEST_P(GpuCommunicators, Broadcast) { run(check_broadcast); }
TEST_P(GpuCommunicators, ManyInFlightWithDelays) { run(check_many_in_flight_with_delays); }
TEST_P(GpuCommunicators, ReplicasAreBitwiseEqual) { run(check_replicas_bitwise_equal); }
TEST_P(GpuCommunicators, HostCollectives) { run(check_host_collectives); }

TEST_P(GpuCommunicators, SayWhatTheyAre) {
  run([](Communicator& it, Device&) {
    const Sums sums = GetParam().sums;
    const Buffer memory(it.allocator(), 4096);
    EXPECT_EQ(it.capturable(), sums != Sums::kThroughHost);
    EXPECT_EQ(it.name(), sums == Sums::kThroughHost
                             ? (it.size() > 1 ? "staged through host memory: threads" : "threads")
                         : sums == Sums::kByNccl && it.size() > 1 ? "nccl 2.28.9 (symmetric window)"
                                                                  : "nccl 2.28.9");
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, GpuCommunicators, testing::ValuesIn(all_cases()), name_of);

// ---- Passes

// A pass whose backward steps write gradients that are a function of (rank, element, run): layer i of `kLayers` copies
// its slice of a source, which the first step counts up.
class Backward {
 public:
  static constexpr int kLayers = 6, kElements = 200;  // of each layer

  Backward(Communicator& communicator, Device& device)
      : communicator_(communicator),
        device_(device),
        parameters_(graph(), device.allocator(), communicator.allocator()),
        source_(device.allocator(), bytes()),
        ones_(device.allocator(), bytes()) {
    std::vector<float> first(elements()), ones(elements(), 1);
    for (size_t i = 0; i < first.size(); ++i) first[i] = input(communicator.rank(), i);
    upload(source_, first);
    upload(ones_, ones);
    Plan steps;
    steps.append(step("forward", [this] { ops_->add(source(), ones_.as<float>(), count(), device_.compute()); }));
    for (int i = kLayers; i-- > 0;) {
      const ParameterSlot& slot = parameters_.slots()[static_cast<size_t>(i)];
      Step backward = step("backward", [this, &slot] {
        ops_->copy(parameters_.gradients() + slot.offset, source() + slot.offset, slot.elements(), device_.compute());
      });
      backward.gradient_begin = slot.offset;
      backward.gradient_end = slot.offset + slot.elements();
      steps.append(backward);
    }
    steps.insert(1, step("loss", [this] {
                   ops_->add(parameters_.control(), ones_.as<float>(), kControlSize, device_.compute());
                 }));
    steps_ = steps;
  }

  Plan pass(const BucketPolicy& policy, const ExchangeClock* clock = nullptr) {
    return make_pass(steps_, {true, true}, parameters_, {*ops_, device_.compute(), communicator_, clock}, policy);
  }
  static float input(int rank, size_t i) { return static_cast<float>((i * 7 + static_cast<size_t>(rank) * 3) % 5); }
  // After `runs` runs.
  void expect_sums(int runs, bool as_bf16) {
    std::vector<float> found(elements());
    device_.copy(found.data(), parameters_.gradients(), bytes(), device_.compute());
    device_.compute().synchronize();
    const int ranks = communicator_.size();
    const auto rounded = [&](float x) { return as_bf16 && ranks > 1 ? bf16_to_f32(f32_to_bf16(x)) : x; };
    for (const ParameterSlot& slot : parameters_.slots()) {
      for (int64_t k = slot.offset; k < slot.offset + slot.elements(); ++k) {
        const auto i = static_cast<size_t>(k);
        float sum = 0;
        for (int r = 0; r < ranks; ++r) sum += rounded(input(r, i) + static_cast<float>(runs));
        ASSERT_EQ(found[i], rounded(sum)) << "element " << i << ", run " << runs;
      }
    }
    for (int i = 0; i < kControlSize; ++i)
      ASSERT_EQ(found[found.size() - kControlSize + static_cast<size_t>(i)], ranks);
  }

 private:
  class Weights : public Layer {
   public:
    std::string type() const override { return "weights"; }
    Shape shape(std::span<const Shape> inputs) const override { return inputs[0]; }
    std::vector<ParameterSpec> parameters(std::span<const Shape>) const override {
      return {{"weight", {1, 1, 1, kElements}, {}}};
    }
  };
  static Graph graph() {
    Graph graph;
    ValueId value = graph.input("image", {}, Dtype::kF32);
    for (int i = 0; i < kLayers; ++i) value = graph.add("l" + std::to_string(i), std::make_unique<Weights>(), {value});
    return graph;
  }
  static Step step(std::string name, std::function<void()> run) {
    Step step;
    step.name = std::move(name);
    step.run = std::move(run);
    return step;
  }
  void upload(const Buffer& to, const std::vector<float>& from) {
    device_.copy(to.data(), from.data(), to.bytes(), device_.compute());
    device_.compute().synchronize();
  }
  float* source() const { return source_.as<float>(); }
  int64_t count() const { return parameters_.reduced_elements(); }
  size_t elements() const { return static_cast<size_t>(count()); }
  int64_t bytes() const { return count() * size_of(Dtype::kF32); }

  Communicator& communicator_;
  Device& device_;
  const std::unique_ptr<FlatOps> ops_ = cuda_flat_ops();
  Parameters parameters_;
  Buffer source_, ones_;
  Plan steps_;
};

class CapturedPasses : public testing::TestWithParam<Case> {};

void run_many(const Case& it, bool capture, const BucketPolicy& policy) {
  constexpr int kRuns = 24;  // the first step by step, the second captured
  run_gpu_ranks(it.ranks, it.sums, [&](Communicator& communicator, Device& device) {
    Backward backward(communicator, device);
    const Plan plan = backward.pass(policy);
    PlanRunner runner(plan, device, capture);
    for (int run = 1; run <= kRuns; ++run) {
      runner.run();
      if (run % 8 == 0) backward.expect_sums(run, policy.dtype == Dtype::kBF16);
    }
    const bool splits = it.ranks > 1 && !communicator.capturable();
    if (capture && !splits) {
      EXPECT_EQ(runner.captured_pieces(), 1);
    }
    device.compute().synchronize();
  });
}

// What the clock has behind a pass is of that pass alone, captured or not.
TEST_P(CapturedPasses, AreTimedByTheDevice) {
  for (const bool capture : {true, false}) {
    run_gpu_ranks(GetParam().ranks, GetParam().sums, [&](Communicator& communicator, Device& device) {
      if (communicator.size() == 1) return;  // sums nothing
      Backward backward(communicator, device);
      const std::unique_ptr<FlatOps> ops = cuda_flat_ops();
      std::vector<ExchangeClock::Times> times(2 + Backward::kLayers);  // more than there can be
      const ExchangeClock clock(device, *ops, times.size() - 1);
      const Plan plan = backward.pass({.bytes = 1}, &clock);
      std::set<int> buckets;
      for (const Step& step : plan.steps()) buckets.insert(step.bucket);
      PlanRunner runner(plan, device, capture);
      for (int run = 1; run <= 4; ++run) {
        const auto begin = std::chrono::steady_clock::now();
        runner.run();
        device.copy(times.data(), clock.times().data(), clock.times().bytes(), device.compute());
        device.compute().synchronize();
        const int64_t most = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
        int64_t exposed = 0;
        for (int i = kNoBucket; i <= Backward::kLayers; ++i) {
          const auto& [waited, busy] = ExchangeClock::of(i, times.data());
          exposed += waited;
          EXPECT_EQ(busy > 0, i != kNoBucket && buckets.contains(i)) << "bucket " << i << ", run " << run;
          EXPECT_GE(waited, 0);
          EXPECT_LE(busy, most);
        }
        EXPECT_GT(exposed, 0);
        EXPECT_LE(exposed, most);
      }
    });
  }
}

TEST_P(CapturedPasses, SumExactlyAtEveryReplay) {
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    run_many(GetParam(), true, {.bytes = 1, .dtype = dtype});
    run_many(GetParam(), true, {.bytes = 1800, .last_bytes = 600, .dtype = dtype});
    run_many(GetParam(), true, {.overlap = false, .dtype = dtype});
    run_many(GetParam(), false, {.bytes = 1, .dtype = dtype});
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, CapturedPasses, testing::ValuesIn(all_cases()), name_of);

}  // namespace
}  // namespace convoy
