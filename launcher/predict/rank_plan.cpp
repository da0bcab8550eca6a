#include "launcher/predict/rank_plan.h"

#include <climits>
#include <set>
#include <utility>

#include "core/train/weight_average.h"
#include "launcher/datasets.h"
#include "launcher/memory_needs.h"
#include "launcher/setup.h"

namespace convoy {
namespace {

// Writes down what it is given.
class Recorder : public CollectiveQueue {
 public:
  void enqueue(const Collective& it) override { given_.push_back({it.kind, it.tensor.type.bytes()}); }
  void progress() override {}
  int64_t in_flight() override { return 0; }
  uint64_t mark() override { return 0; }
  void wait_past(uint64_t) override {}
  std::vector<double> take_busy_seconds() override { return {}; }
  std::vector<PlannedExchange> take() { return std::exchange(given_, {}); }

 private:
  std::vector<PlannedExchange> given_;
};

// Rank 0 of ranks that are not there, and all say the same.
class AbsentRanks : public QueueCommunicator {
 public:
  AbsentRanks(int size, bool cuts_change_bits) : size_(size), cuts_change_bits_(cuts_change_bits) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  std::string name() const override { return "none"; }
  Allocator& allocator() override { return memory_; }
  bool cuts_change_bits() const override { return cuts_change_bits_; }
  void barrier() override {}
  std::vector<std::string> all_gather_bytes(const std::string& mine) override {
    return std::vector<std::string>(static_cast<size_t>(size_), mine);
  }
  std::string broadcast_bytes(const std::string& mine, int) override { return mine; }
  [[noreturn]] void abort(ExitCode code) noexcept override { std::_Exit(static_cast<int>(code)); }

  std::vector<PlannedExchange> take() { return recorder_.take(); }

 private:
  CollectiveQueue& queue() override { return recorder_; }

  const int size_;
  const bool cuts_change_bits_;
  AddressSpace memory_;
  Recorder recorder_;
};

// As each rank has the whole batch of the experiment.
BatchConfig batch_of_all(const BatchConfig& config, int ranks) {
  const ResolvedBatch each = resolve(config, 1);
  if (int64_t{each.global} * ranks > INT_MAX) {
    config_error(config.where, config.path,
                 std::to_string(ranks) + " ranks with " + std::to_string(each.global) + " rows each are too many rows");
  }
  BatchConfig all = config;
  all.per_rank.reset();
  all.global = each.global * ranks;
  all.micro = each.micro;
  return all;
}

class RankPlanner {
 public:
  RankPlanner(const Experiment& experiment, int ranks, const std::optional<SumTime>& sum_time, const Hdf5Options& hdf5)
      : experiment_(experiment),
        others_(ranks, !sum_time),
        backend_(make_backend(experiment, others_, 1)),
        stages_(stage_settings(experiment, sample_shape(experiment.data), ranks)),
        model_(build_model(experiment, stages_.front().sample, stages_.front().batch.micro)),
        options_(fitting_options(sum_time, hdf5)),
        parameters_(model_.graph, memory_, others_.allocator(), shadow_dtype(backend_),
                    options_.buckets.dtype == Dtype::kBF16 && ranks > 1, options_.buckets.sharded),
        program_(model_.graph, parameters_, *backend_.kernels,
                 training_options(model_.graph, backend_.precision, options_)),
        arena_(memory_, options_.ranks > 1 ? program_.memory().arena_bytes : 0) {
    if (options_.ranks > 1) bind();
    shards_ = share_updates(program_.plan(), parameters_, options_.buckets, others_);
    optimizer_ = make_optimizer(experiment.optimizer, backend_, model_.graph, parameters_, memory_);
  }

  RankPlan plan() {
    const int passes = options_.shapes.front().passes.most;
    RankPlan result{.steps = {}, .images = 0, .micro_batch = stages_.front().batch.micro};
    result.images = passes * result.micro_batch;
    std::set<std::string> of_network;
    const Plan network = program_.plan();
    for (const Step& step : network.steps()) of_network.insert(step.name);
    for (int i = 0; i < passes; ++i) {
      const Plan plan = pass({.first = i == 0, .last = i + 1 == passes});
      for (const Step& step : plan.steps()) {
        PlannedStep planned{step.name, of_network.contains(step.name), step.flops, step.bytes, {}, false};
        planned.joins = step.waits;
        if (step.communicates) {
          step.run();  // others_ write down what it asks of them
          planned.exchanges = others_.take();
        }
        result.steps.push_back(std::move(planned));
      }
    }
    return result;
  }

 private:
  ReplicaOptions fitting_options(const std::optional<SumTime>& sum_time, const Hdf5Options& hdf5) {
    ReplicaOptions options = replica_options(experiment_, stages_, model_.graph, backend_, 0, others_.size(), hdf5);
    if (options.buckets.by_time) cut_by(*sum_time, options.buckets);
    fit_into_memory(experiment_, model_, backend_, options);
    return options;
  }

  // Only what is bound says what it gathers.
  void bind() {
    std::map<std::string, Tensor> inputs;
    for (const Graph::Input& input : model_.graph.inputs()) {
      inputs_.emplace_back(memory_, input.type.bytes());
      inputs[input.name] = {inputs_.back().data(), input.type};
    }
    program_.bind(arena_.data(), parameters_, inputs, nullptr, compute());
  }

  Plan pass(PassPosition position) {
    Plan plan = make_pass(program_.plan(), position, parameters_, executors(), options_.buckets);
    if (!position.last) return plan;
    append_update(plan, options_.buckets, shards_, *optimizer_, parameters_, nullptr, executors());
    if (experiment_.train.ema_decay == 0) return plan;
    Step average;
    average.name = "average";
    average.bytes = 3 * WeightAverage::bytes_for(parameters_);
    plan.append(std::move(average));
    return plan;
  }

  Stream& compute() { return backend_.device->compute(); }
  Executors executors() { return {*backend_.ops, compute(), others_}; }

  const Experiment& experiment_;
  AddressSpace memory_;
  AbsentRanks others_;
  Backend backend_;
  std::vector<StageSettings> stages_;
  Model model_;
  ReplicaOptions options_;
  Parameters parameters_;
  Program program_;
  Buffer arena_;
  std::vector<Buffer> inputs_;
  std::vector<ElementRange> shards_;
  std::unique_ptr<Optimizer> optimizer_;
};

}  // namespace

RankPlan plan_rank(Experiment experiment, int ranks, const std::optional<SumTime>& sum_time, const Hdf5Options& hdf5) {
  if (experiment.distributed.average_every > 1) {
    config_error(experiment.distributed.where, "distributed.average_every", "ranks that train apart are not predicted");
  }
  experiment.device = DeviceChoice::kCpu;
  experiment.train.cuda_graph = CudaGraph::kAuto;
  if (experiment.train.precision == Precision::kF16) experiment.train.precision = Precision::kF32;
  experiment.train.stages.clear();
  experiment.batch = batch_of_all(experiment.batch, ranks);
  return RankPlanner(experiment, ranks, sum_time, hdf5).plan();
}

}  // namespace convoy
