// Ranks that update their parts of the parameters make of them, to the bit, what ranks that all update everything do.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "dist/data_parallel.h"
#include "dist/thread_group.h"
#include "tests/dist/weights_layer.h"

namespace convoy {
namespace {

// 1664 elements in three buckets, which 3 ranks cannot share evenly.
Graph four_layers() { return layers_of({300, 128, 1000, 7}); }

using Rule =
    std::function<std::unique_ptr<Optimizer>(FlatOps&, Allocator&, const Parameters&, std::vector<UpdateRange>)>;

struct Setting {
  bool sharded = false;
  ClipOptions clip = {};
  Dtype travels_as = Dtype::kF32;
  int passes = 1;
};

// A rank whose backward pass makes up gradients: others on each rank, in each micro-batch.
class Rank {
 public:
  Rank(Communicator& communicator, const Rule& rule, const Setting& setting)
      : communicator_(communicator),
        parameters_(four_layers(), device_->allocator(), communicator.allocator(), Dtype::kBF16,
                    setting.travels_as == Dtype::kBF16, setting.sharded) {
    parameters_.initialize(1, 1, *device_);
    const Plan backward = plan();
    const BucketPolicy policy{.bytes = 1000, .last_bytes = 1, .dtype = setting.travels_as, .sharded = setting.sharded};
    const auto shards = share_updates(backward, parameters_, policy, communicator);
    optimizer_ =
        rule(*ops_, device_->allocator(), parameters_, update_ranges(parameters_, 0.01F, {{"layer1.*", 0.5F, 0}}));
    optimizer_->clip(setting.clip, device_->allocator(), parameters_);
    const Executors on{*ops_, device_->compute(), communicator};
    for (int i = 0; i < setting.passes; ++i) {
      const PassPosition position{i == 0, i + 1 == setting.passes};
      passes_.push_back(make_pass(backward, position, parameters_, on, policy));
    }
    append_update(passes_.back(), policy, shards, *optimizer_, parameters_, &scalars_, on);
  }

  void step() {
    for (const Plan& pass : passes_) {
      pass.run();
      ++micro_batch_;
    }
    ++scalars_.step;
  }
  // From now on, what is not a number in the gradients of this rank; none: -1.
  void spoil(int64_t element) { spoilt_ = element; }

  std::vector<float> values() const { return {parameters_.values(), parameters_.values() + elements()}; }
  std::vector<uint16_t> shadow() const {
    const auto* begin = static_cast<const uint16_t*>(parameters_.shadow());
    return {begin, begin + elements()};
  }
  // What this rank keeps of each buffer, at the offsets of the parameters; all else is zero.
  std::vector<float> state() const {
    std::vector<float> result;
    for (const Optimizer::State& it : optimizer_->state()) {
      std::vector<float> whole(elements());
      const float* from = it.data;
      for (const auto& [begin, end] : parameters_.own().parts) {
        std::copy(from, from + (end - begin), whole.begin() + begin);
        from += end - begin;
      }
      result.insert(result.end(), whole.begin(), whole.end());
    }
    return result;
  }
  const Parameters& parameters() const { return parameters_; }
  const Plan& last_pass() const { return passes_.back(); }

 private:
  size_t elements() const { return static_cast<size_t>(parameters_.trainable_elements()); }

  Plan plan() {
    Plan plan;
    const auto append = [&plan](const char* name, std::function<void()> run, int64_t begin = 0, int64_t end = 0) {
      Step step;
      step.name = name;
      step.run = std::move(run);
      step.gradient_begin = begin;
      step.gradient_end = end;
      plan.append(std::move(step));
    };
    append("forward", [] {});
    for (size_t i = parameters_.slots().size(); i-- > 0;) {
      const int64_t begin = parameters_.slots()[i].offset, end = begin + parameters_.slots()[i].elements();
      append(
          "backward", [=, this] { fill(begin, end); }, begin, end);
    }
    append("behind", [] {});
    return plan;
  }
  void fill(int64_t begin, int64_t end) {
    const int salt = 31 * communicator_.rank() + 7 * micro_batch_;
    for (int64_t i = begin; i < end; ++i) {
      parameters_.gradients()[i] =
          i == spoilt_ ? std::numeric_limits<float>::quiet_NaN() : std::sin(static_cast<float>(13 * i + salt));
    }
  }

  Communicator& communicator_;
  const std::unique_ptr<Device> device_ = make_cpu_device(1);
  const std::unique_ptr<FlatOps> ops_ = make_cpu_flat_ops();
  Parameters parameters_;
  StepScalars scalars_{.learning_rate = 0.1F, .one_over_micro_batches = 1};
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<Plan> passes_;
  int micro_batch_ = 0;
  int64_t spoilt_ = -1;
};

template <class Options>
Rule rule_of(std::unique_ptr<Optimizer> (*make)(FlatOps&, Allocator&, const Parameters&, std::vector<UpdateRange>,
                                                const Options&),
             const Options& options) {
  return [=](FlatOps& ops, Allocator& allocator, const Parameters& parameters, std::vector<UpdateRange> ranges) {
    return make(ops, allocator, parameters, std::move(ranges), options);
  };
}
const Rule kSgd = rule_of<SgdOptions>(make_sgd, {.momentum = 0.9F, .nesterov = true});
const Rule kAdam = rule_of<AdamOptions>(make_adam, {});
const std::vector<Rule> kRules = {kSgd, rule_of<SgdOptions>(make_sgd, {}), kAdam,
                                  rule_of<AdamOptions>(make_adam, {.decoupled = true}),
                                  rule_of<RmspropOptions>(make_rmsprop, {.momentum = 0.5F})};

// That the state of `sharded` is that of `whole`, each element on one rank.
void expect_shares(Communicator& communicator, const Rank& sharded, const Rank& whole) {
  const std::vector<float> mine = sharded.state(), wanted = whole.state();
  std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(float));
  std::vector<float> sum(wanted.size());
  for (const std::string& of_rank : communicator.all_gather_bytes(bytes)) {
    const auto* state = reinterpret_cast<const float*>(of_rank.data());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += state[i];
  }
  EXPECT_EQ(sum, wanted);
}

TEST(ShardedUpdate, IsTheWholeUpdateToTheBit) {
  for (const int ranks : {2, 3, 4}) {
    for (const Rule& rule : kRules) {
      for (const int passes : {1, 3}) {
        for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
          run_thread_group(ranks, [&](Communicator& communicator) {
            const Setting setting{.clip = {.value = 0.9F}, .travels_as = dtype, .passes = passes};
            Setting in_shards = setting;
            in_shards.sharded = true;
            Rank sharded(communicator, rule, in_shards), whole(communicator, rule, setting);
            const std::vector<float> start = whole.values();
            for (int step = 0; step < 4; ++step) sharded.step(), whole.step();
            EXPECT_NE(whole.values(), start);
            EXPECT_EQ(sharded.values(), whole.values()) << ranks << " ranks";
            EXPECT_EQ(sharded.shadow(), whole.shadow()) << ranks << " ranks";
            expect_shares(communicator, sharded, whole);
          });
        }
      }
    }
  }
}

TEST(ShardedUpdate, EveryElementHasOneOwner) {
  for (const int ranks : {1, 2, 3, 4, 7}) {
    run_thread_group(ranks, [&](Communicator& communicator) {
      const Rank rank(communicator, kAdam, {.sharded = true});
      const Ownership& own = rank.parameters().own();
      EXPECT_LE(own.elements(), rank.parameters().trainable_elements() / ranks + std::ssize(own.parts));
      std::string owned(static_cast<size_t>(rank.parameters().trainable_elements()), 0);
      for (const auto& [begin, end] : own.parts) std::fill(owned.begin() + begin, owned.begin() + end, 1);
      std::string owners(owned.size(), 0);
      for (const std::string& of_rank : communicator.all_gather_bytes(owned)) {
        for (size_t i = 0; i < owners.size(); ++i) owners[i] = static_cast<char>(owners[i] + of_rank[i]);
      }
      EXPECT_EQ(owners, std::string(owned.size(), 1));
    });
  }
}

TEST(ShardedUpdate, TheNormIsThatOfAllRanksParts) {
  for (const int ranks : {2, 3, 4}) {
    run_thread_group(ranks, [&](Communicator& communicator) {
      Rank sharded(communicator, kSgd, {.sharded = true, .clip = {.norm = 0.5F}});
      Rank whole(communicator, kSgd, {.clip = {.norm = 0.5F}});
      for (int step = 0; step < 4; ++step) sharded.step(), whole.step();
      const float norm = whole.parameters().control()[kGradientNorm];
      EXPECT_GT(norm, 1);
      EXPECT_NEAR(sharded.parameters().control()[kGradientNorm], norm, 1e-6F * norm);
      const std::vector<float> found = sharded.values(), wanted = whole.values();
      for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(found[i], wanted[i], 1e-6) << i;
      const std::string bytes(reinterpret_cast<const char*>(found.data()), found.size() * sizeof(float));
      for (const std::string& of_rank : communicator.all_gather_bytes(bytes)) EXPECT_EQ(of_rank, bytes);
    });
  }
}

TEST(ShardedUpdate, WhatOneRankFindsNotFiniteIsSkippedByAll) {
  for (const int64_t element : {0, 1427}) {  // the first and the last rank's
    run_thread_group(3, [&](Communicator& communicator) {
      Rank sharded(communicator, kAdam, {.sharded = true}), whole(communicator, kAdam, {});
      const std::vector<float> start = sharded.values();
      if (communicator.rank() == 1) sharded.spoil(element), whole.spoil(element);
      sharded.step(), whole.step();
      EXPECT_GT(sharded.parameters().control()[kOverflow], 0);
      EXPECT_EQ(sharded.values(), start);
      sharded.spoil(-1), whole.spoil(-1);
      sharded.step(), whole.step();
      EXPECT_EQ(sharded.parameters().control()[kOverflow], 0);
      EXPECT_NE(sharded.values(), start);
      EXPECT_EQ(sharded.values(), whole.values());
      expect_shares(communicator, sharded, whole);
    });
  }
}

TEST(ShardedUpdate, IsStepsOfThePass) {
  run_thread_group(2, [&](Communicator& communicator) {
    const Rank rank(communicator, kAdam, {.sharded = true, .clip = {.norm = 1}});
    std::vector<std::string> names;
    for (const Step& step : rank.last_pass().steps()) names.push_back(step.name);
    const std::vector<std::string> wanted = {"clear statistics and control",
                                             "forward",
                                             "backward",
                                             "backward",
                                             "reduce bucket 0",
                                             "reduce_scatter bucket 1",
                                             "backward",
                                             "reduce_scatter bucket 2",
                                             "backward",
                                             "reduce_scatter bucket 3",
                                             "behind",
                                             "join bucket 0",
                                             "join bucket 1",
                                             "join bucket 2",
                                             "join bucket 3",
                                             "check gradients",
                                             "all_reduce checks",
                                             "all_reduce checks",
                                             "join",
                                             "optimizer",
                                             "all_gather",
                                             "all_gather",
                                             "all_gather",
                                             "join",
                                             "shadow of values"};
    EXPECT_EQ(names, wanted);
  });
}

}  // namespace
}  // namespace convoy
