#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/setup.h"
#include "layers/registry.h"

namespace convoy {
namespace {

constexpr int kWarmUpSteps = 3;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// A network with its optimizer and one micro-batch of real data, which it trains on again and again.
class Bench {
 public:
  Bench(const Experiment& experiment, Communicator& communicator, Device& device, const Dataset& data)
      : batch_(resolve(experiment.batch, communicator.size())),
        device_(device),
        replica_(build_model(experiment.model, experiment.data, data.sample(), batch_.micro), device, communicator,
                 *kernels_, *ops_, replica_options(experiment, batch_, communicator.rank(), communicator.size())),
        optimizer_(make_optimizer(experiment.optimizer, *ops_, device.allocator(), replica_.parameters())),
        passes_(share_of(batch_.micro_batches, communicator.rank(), communicator.size()).count),
        pixels_(static_cast<size_t>(batch_.micro * data.sample().elements())),
        labels_(static_cast<size_t>(batch_.micro)) {
    replica_.parameters().initialize(experiment.experiment.seed);
    for (int row = 0; row < batch_.micro; ++row) {
      labels_[static_cast<size_t>(row)] = data.read(row % data.size(), pixels_.data() + row * data.sample().elements());
    }
    StepScalars& scalars = replica_.scalars();
    scalars.learning_rate = 1e-4F;
    scalars.valid_rows = batch_.micro;
    scalars.one_over_global_rows = 1.0F / static_cast<float>(batch_.global);
    scalars.one_over_micro_batches = 1.0F / static_cast<float>(batch_.micro_batches);
  }

  // Seconds of one step: load, passes, optimizer.
  double step() {
    const double begin = now();
    for (int64_t pass = 0; pass < passes_; ++pass) {
      replica_.load(pixels_, labels_);
      const PassPosition position{pass == 0, pass + 1 == passes_};
      communication_wait_ += replica_.run(position);
      add_times(replica_.pass(position));
    }
    const double before_update = now();
    optimizer_->step(replica_.parameters(), &replica_.scalars(), device_.compute());
    const double end = now();
    by_kind_["optimizer"] += end - before_update;
    ++replica_.scalars().step;
    seconds_.push_back(end - begin);
    return end - begin;
  }
  // Forgets what was measured so far.
  void restart() {
    seconds_.clear();
    by_kind_.clear();
    communication_wait_ = multiply_seconds_ = 0;
  }

  const std::vector<double>& seconds() const { return seconds_; }
  double total() const {
    double sum = 0;
    for (double it : seconds_) sum += it;
    return sum;
  }
  // Seconds by kind of step ("conv2d forward"), summed over what was measured; what is left is "other".
  std::map<std::string, double> by_kind() const {
    std::map<std::string, double> kinds = by_kind_;
    double other = total();
    for (const auto& [kind, seconds] : kinds) other -= seconds;
    kinds["other"] = std::max(other, 0.0);
    return kinds;
  }
  double multiply_share() const { return multiply_seconds_ / total(); }  // convolutions and matrix products
  double communication_wait() const { return communication_wait_; }
  const Replica& replica() const { return replica_; }
  Replica& replica() { return replica_; }
  const ResolvedBatch& batch() const { return batch_; }
  int64_t passes() const { return passes_; }

 private:
  // "conv2d_12 backward_weights" → "conv2d backward_weights"
  static std::string kind_of(const std::string& step) {
    const size_t space = step.find(' ');
    const size_t number = step.find_last_of('_', space);
    const bool numbered =
        number != std::string::npos && number + 1 < space && step.find_first_not_of("0123456789", number + 1) == space;
    return numbered ? step.substr(0, number) + step.substr(space) : step;
  }
  void add_times(const Plan& plan) {
    for (size_t i = 0; i < plan.steps().size(); ++i) {
      const Step& step = plan.steps()[i];
      const double seconds = replica_.last_seconds()[i];
      by_kind_[step.communicates ? "reduce" : kind_of(step.name)] += seconds;
      if (step.flops > 0) multiply_seconds_ += seconds;
    }
  }

  std::unique_ptr<KernelFactory> kernels_ = make_cpu_kernels();
  std::unique_ptr<FlatOps> ops_ = make_cpu_flat_ops();
  ResolvedBatch batch_;
  Device& device_;
  Replica replica_;
  std::unique_ptr<Optimizer> optimizer_;
  int64_t passes_;
  std::vector<uint8_t> pixels_;
  std::vector<int32_t> labels_;
  std::vector<double> seconds_;
  std::map<std::string, double> by_kind_;
  double communication_wait_ = 0, multiply_seconds_ = 0;
};

struct Context {
  Experiment experiment;
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<Device> device;
  Datasets data;
};

void print_step_table(const Context& context, const Bench& bench, double seconds) {
  std::printf("%s: %.2f ms a step, %.1f img/s on %d rank(s); %.1f%% in convolutions and matrix products\n\n",
              context.experiment.model.name.c_str(), 1e3 * seconds, bench.batch().global / seconds,
              context.communicator->size(), 100 * bench.multiply_share());
  std::vector<std::pair<std::string, double>> rows;
  for (const auto& row : bench.by_kind()) rows.push_back(row);
  std::ranges::sort(rows, std::greater{}, [](const auto& row) { return row.second; });
  std::printf("| step | ms | share |\n|---|--:|--:|\n");
  const auto steps = static_cast<double>(bench.seconds().size());
  for (const auto& [kind, sum] : rows) {
    std::printf("| %s | %.3f | %.1f%% |\n", kind.c_str(), 1e3 * sum / steps, 100 * sum / bench.total());
  }
}

// How long a training step takes, and where the time goes.
int bench_step(const CommandLine& line, Context& context) {
  std::unique_ptr<Bench> bench;
  run_on_all_ranks(*context.communicator, [&] {
    bench = std::make_unique<Bench>(context.experiment, *context.communicator, *context.device, *context.data.train);
  });
  for (int i = 0; i < kWarmUpSteps; ++i) bench->step();
  bench->restart();
  for (int i = 0; i < line.repeat; ++i) bench->step();
  if (context.communicator->rank() != 0) return 0;
  const double seconds = median(bench->seconds());
  if (!line.json) {
    print_step_table(context, *bench, seconds);
    return 0;
  }
  nlohmann::json kinds;
  for (const auto& [kind, sum] : bench->by_kind()) kinds[kind] = sum / static_cast<double>(bench->seconds().size());
  std::printf("%s\n", nlohmann::json{{"seconds_per_step", seconds},
                                     {"images_per_second", bench->batch().global / seconds},
                                     {"parameters", bench->replica().parameters().parameter_count()},
                                     {"ranks", context.communicator->size()},
                                     {"multiply_share", bench->multiply_share()},
                                     {"seconds_by_kind", kinds}}
                          .dump()
                          .c_str());
  return 0;
}

// When each bucket leaves and is back, in the last pass of one step.
void print_trace(Bench& bench, Communicator& communicator) {
  Replica& replica = bench.replica();
  const Plan& plan = replica.pass({bench.passes() == 1, true});
  struct Row {
    double begin, end;
    int64_t in_flight;
  };
  std::vector<Row> rows;
  const double begin = now();
  for (const Step& step : plan.steps()) {
    const double step_begin = now();
    step.run();
    communicator.progress();
    rows.push_back({step_begin - begin, now() - begin, communicator.in_flight()});
  }
  if (communicator.rank() != 0) return;
  std::printf("\n| step | begins, ms | ends, ms | reductions in flight |\n|---|--:|--:|--:|\n");
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool backward = plan.steps()[i].gradient_end > 0;
    if (rows[i].in_flight == 0 && !plan.steps()[i].communicates && !backward) continue;
    std::printf("| %s | %.3f | %.3f | %lld |\n", plan.steps()[i].name.c_str(), 1e3 * rows[i].begin, 1e3 * rows[i].end,
                static_cast<long long>(rows[i].in_flight));
  }
}

// What summing buckets while backward runs gains over one sum afterwards: both in turn, in one run.
int bench_overlap(const CommandLine& line, Context& context) {
  std::unique_ptr<Bench> overlapped, afterwards;
  run_on_all_ranks(*context.communicator, [&] {
    context.experiment.distributed.overlap = true;
    overlapped =
        std::make_unique<Bench>(context.experiment, *context.communicator, *context.device, *context.data.train);
  });
  run_on_all_ranks(*context.communicator, [&] {
    Experiment other = context.experiment;
    other.distributed.overlap = false;
    afterwards = std::make_unique<Bench>(other, *context.communicator, *context.device, *context.data.train);
  });
  for (int i = 0; i < kWarmUpSteps + line.repeat; ++i) {
    if (i == kWarmUpSteps) overlapped->restart(), afterwards->restart();
    context.communicator->barrier();
    overlapped->step();
    context.communicator->barrier();
    afterwards->step();
  }
  if (context.communicator->rank() == 0) {
    const double with = median(overlapped->seconds()), without = median(afterwards->seconds());
    const auto steps = static_cast<double>(overlapped->seconds().size());
    std::printf("%s, %d ranks, %s\n\n", context.experiment.model.name.c_str(), context.communicator->size(),
                context.communicator->name().c_str());
    std::printf("| | ms a step | waiting for communication, ms |\n|---|--:|--:|\n");
    std::printf("| buckets while backward runs | %.3f | %.3f |\n", 1e3 * with,
                1e3 * overlapped->communication_wait() / steps);
    std::printf("| one bucket after backward | %.3f | %.3f |\n", 1e3 * without,
                1e3 * afterwards->communication_wait() / steps);
    std::printf("| ratio | %.3f | |\n", with / without);
  }
  print_trace(*overlapped, *context.communicator);
  return 0;
}

}  // namespace

int bench_command(const CommandLine& line, MpiSession& session) {
  std::string what;
  run_on_all_ranks(session, [&] {
    what = require_word(line, 0, "step or overlap");
    if (what == "overlap" && line.json) throw Error(ExitCode::kUsage, "bench overlap: has no --json");
    if (what == "step" || (what == "overlap" && session.size() > 1)) return;
    throw Error(ExitCode::kUsage, what == "overlap" ? "bench overlap: expected several ranks, found one"
                                                    : "bench: expected step or overlap, found '" + what + "'");
  });
  Start started = start(session, line, 1);
  Context context{std::move(started.experiment), std::move(started.communicator), nullptr, {}};
  run_on_all_ranks(*context.communicator, [&] {
    context.device = make_device(context.experiment.device, started.threads);
    context.data = open_datasets(context.experiment.data, context.experiment.experiment.seed);
  });
  run_on_all_ranks(*context.communicator,
                   [&] { agree_on_run(*context.communicator, version_text(), started.threads, context.data); });
  return what == "step" ? bench_step(line, context) : bench_overlap(line, context);
}

}  // namespace convoy
