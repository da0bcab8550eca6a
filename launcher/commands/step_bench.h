// What `convoy bench` measures: training steps, without a trainer around them.
#pragma once

#include <memory>
#include <vector>

#include "launcher/commands/step_table.h"
#include "launcher/feed.h"
#include "launcher/setup.h"

namespace convoy {

// What a measured step consists of.
enum class BenchMode : uint8_t {
  kSynthetic,  // training, on one micro-batch of real data again and again
  kLoader,     // the loader alone, with all the threads that it may have
  kFull        // both
};

// What each rank has, by rank.  Collective.
std::vector<double> gathered(double mine, RankGroup& group);
double mean(double mine, RankGroup& group);
// Of the rank that has most.  Collective.
double most(double mine, RankGroup& group);

// The middle one, or the mean of the two in the middle.
double median(std::vector<double> values);

// The network of an experiment with its optimizer, for one rank of `host`.
class StepBench {
 public:
  static constexpr int kWarmUpSteps = 3;  // not counted

  // Collective.  All arguments must outlive it.  `threads`: most that the loader may have.
  StepBench(const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host, Backend& backend,
            const Dataset& data, BenchMode mode = BenchMode::kSynthetic, int threads = 1);

  // `count` steps: load, passes, update.  The host is at most two steps ahead of the device, and none behind the last.
  void steps(int count);
  // Step by step, to see where the time goes; on a device that runs ahead each step is waited for.
  void profile(int count);
  // Forgets what was measured so far.
  void restart();

  // Of one step: the median where the host sees each step end, else the mean.
  double seconds_per_step() const;
  // Seconds of one step, medians, that this rank waited for other ranks, and for the loader.
  double communication_wait() const;
  std::vector<Communication::Bucket> buckets() const;  // likewise, of this rank
  double data_wait() const { return median(data_waits_); }
  // Of a profiled step, medians, in the order of the plan.
  std::vector<StepRow> rows(const MachinePeak& peak) const;

  Replica& replica() { return *replica_; }
  const ResolvedBatch& batch() const { return batch_; }
  int64_t passes() const { return passes_; }

 private:
  std::unique_ptr<Replica> make_replica(const Experiment& experiment, const Hdf5Options& hdf5, const Dataset& data,
                                        Backend& backend, Communicator& host) const;
  void load();
  template <class Run>
  void for_each_pass(Run run);
  std::string kind_of(const Step& step) const;
  void add_times(const Plan& plan, const std::vector<double>& seconds);

  // A row of the plan in each of the profiled steps, over all passes.
  struct Profile {
    StepRow row;  // without seconds; flops and bytes of all profiled steps together
    bool communicates = false;
    std::vector<double> seconds;
  };

  const BenchMode mode_;
  ResolvedBatch batch_;
  Device& device_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;
  const int64_t passes_;
  Buffer pixels_, targets_;           // of kSynthetic
  std::unique_ptr<Feeding> feeding_;  // of the others
  std::unique_ptr<Feed> feed_;
  std::vector<double> seconds_, data_waits_;  // by step
  std::vector<Communication> communication_;  // likewise
  std::vector<Profile> profiles_;
  size_t profiled_ = 0;  // steps
};

}  // namespace convoy
