#include <algorithm>
#include <chrono>
#include <cstdio>

#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/commands/step_table.h"
#include "launcher/network_flags.h"
#include "launcher/setup.h"

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
  Bench(const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host, Backend& backend,
        const Dataset& data)
      : batch_(resolve(experiment.batch, host.size())),
        device_(*backend.device),
        replica_(make_replica(experiment, hdf5, data, backend, host)),
        optimizer_(make_optimizer(experiment.optimizer, backend, replica_->graph(), replica_->parameters(),
                                  backend.device->allocator())),
        passes_(share_of(batch_.micro_batches, host.rank(), host.size()).count),
        pixels_(device_.host_allocator(), batch_.micro * data.sample().elements()),
        targets_(device_.host_allocator(), batch_.micro * int64_t{sizeof(Target)}) {
    replica_->initialize(experiment.experiment.seed, {});
    if (const double decay = experiment.train.ema_decay; decay > 0) {
      average_ = std::make_unique<WeightAverage>(*backend.ops, device_.allocator(), replica_->parameters(), decay);
    }
    replica_->add_update(*optimizer_, average_.get());
    for (int row = 0; row < batch_.micro; ++row) {
      uint8_t* const pixels = pixels_.as<uint8_t>() + row * data.sample().elements();
      targets_.as<Target>()[row] = Target::of(data.read(row % data.size(), 0, pixels));
    }
    StepScalars& scalars = replica_->scalars();
    scalars.learning_rate = 1e-4F;
    scalars.valid_rows = batch_.micro;
    scalars.one_over_global_rows = 1.0F / static_cast<float>(batch_.global);
    scalars.one_over_micro_batches = 1.0F / static_cast<float>(batch_.micro_batches);
  }

  // `count` steps: load, passes, update.  A device that runs ahead is waited for once, behind the last.
  void steps(int count) {
    for (int i = 0; i < count; ++i) {
      const double begin = now();
      for_each_pass([&](const PassPosition& position) { communication_wait_ += replica_->run(position).value_or(0); });
      if (i + 1 == count) device_.compute().synchronize();
      seconds_.push_back(now() - begin);
    }
  }
  // Step by step, to see where the time goes; on a device that runs ahead each step is waited for.
  void profile(int count) {
    for (int i = 0; i < count; ++i) {
      for_each_pass([&](const PassPosition& position) {
        std::vector<double> seconds;
        replica_->run_timed(position, seconds);
        add_times(replica_->pass(position), seconds);
      });
    }
    profiled_ += count;
  }
  // Forgets what was measured so far.
  void restart() {
    seconds_.clear();
    rows_.clear();
    communication_wait_ = 0;
    profiled_ = 0;
  }

  // Of one step: the median where the host sees each step end, else the mean.
  double seconds_per_step() const { return device_.runs_ahead() ? mean() : median(seconds_); }
  size_t measured() const { return seconds_.size(); }
  double communication_wait() const { return communication_wait_; }

  // Of a profiled step, in the order of the plan.
  std::vector<StepRow> rows() const {
    std::vector<StepRow> rows = rows_;
    for (StepRow& row : rows) {
      row.seconds /= profiled_;
      row.flops /= profiled_;
      row.bytes /= profiled_;
    }
    return rows;
  }
  const Replica& replica() const { return *replica_; }
  Replica& replica() { return *replica_; }
  const ResolvedBatch& batch() const { return batch_; }
  int64_t passes() const { return passes_; }

 private:
  std::unique_ptr<Replica> make_replica(const Experiment& experiment, const Hdf5Options& hdf5, const Dataset& data,
                                        Backend& backend, Communicator& host) const {
    const StageSettings only{.batch = batch_, .sample = data.sample()};
    std::optional<ReplicaPlan> plan;
    run_on_all_ranks(host, [&] { plan.emplace(plan_replica(experiment, only, {only}, backend, host, hdf5)); });
    return std::make_unique<Replica>(std::move(plan->model), backend, plan->options);
  }

  // "layer3.0.conv1 backward_weights" → "conv2d backward_weights", "stem.convert forward" → "convert forward".  Of a
  // teacher's network only the names are known: "teacher/conv2d_12 forward" → "teacher/conv2d forward".
  std::string kind_of(const Step& step) const {
    if (step.communicates) return "reduce";
    const size_t space = std::min(step.name.find(' '), step.name.size());
    const std::string node = step.name.substr(0, space), what = step.name.substr(space);
    const auto& nodes = replica_->graph().nodes();
    if (const auto found = std::ranges::find(nodes, node, &Graph::Node::name); found != nodes.end()) {
      return found->layer->type() + what;
    }
    for (const std::string added : {"convert", "gradients"}) {  // by the program
      if (node.ends_with("." + added)) return added + what;
    }
    const size_t number = node.find_last_not_of("0123456789") + 1;
    const bool numbered = number > 1 && number < node.size() && node[number - 1] == '_';
    return (numbered ? node.substr(0, number - 1) : node) + what;
  }
  void add_times(const Plan& plan, const std::vector<double>& seconds) {
    for (size_t i = 0; i < plan.steps().size(); ++i) {
      const Step& step = plan.steps()[i];
      auto row = std::ranges::find(rows_, step.name, &StepRow::name);
      if (row == rows_.end()) {
        row = rows_.insert(row, {.name = step.name, .kind = kind_of(step), .communicates = step.communicates});
      }
      row->seconds += seconds[i];
      row->flops += step.flops;
      row->bytes += step.bytes;
    }
  }
  template <class Run>
  void for_each_pass(Run run) {
    for (int64_t pass = 0; pass < passes_; ++pass) {
      replica_->wait_until_read();
      replica_->load({pixels_.as<uint8_t>(), static_cast<size_t>(pixels_.bytes())},
                     {targets_.as<Target>(), static_cast<size_t>(batch_.micro)});
      run(PassPosition{pass == 0, pass + 1 == passes_});
    }
    ++replica_->scalars().step;
  }
  double mean() const {
    double sum = 0;
    for (double it : seconds_) sum += it;
    return sum / static_cast<double>(seconds_.size());
  }

  ResolvedBatch batch_;
  Device& device_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;
  int64_t passes_;
  Buffer pixels_, targets_;
  std::vector<double> seconds_;  // by step
  std::vector<StepRow> rows_;    // of all profiled steps together
  double communication_wait_ = 0;
  int profiled_ = 0;
};

struct Context {
  Experiment experiment;
  Hdf5Options hdf5;  // for a teacher
  std::unique_ptr<Communicator> host;
  Backend backend;
  Datasets data;

  std::unique_ptr<Bench> make_bench(bool overlap) {
    std::unique_ptr<Bench> bench;
    experiment.distributed.overlap = overlap;
    run_on_all_ranks(*host, [&] { bench = std::make_unique<Bench>(experiment, hdf5, *host, backend, *data.train); });
    return bench;
  }
};

// How long a training step takes, and where the time goes.
int bench_step(const CommandLine& line, Context& context) {
  const std::unique_ptr<Bench> bench = context.make_bench(context.experiment.distributed.overlap);
  bench->steps(kWarmUpSteps);
  bench->restart();
  bench->steps(line.repeat);
  bench->profile(std::min(line.repeat, kWarmUpSteps));
  context.host->barrier();
  const MachinePeak peak = measure_peak(context.backend);
  if (context.host->rank() != 0) return 0;
  const double seconds = bench->seconds_per_step(), images_per_second = bench->batch().global / seconds;
  const std::vector<StepRow> rows = bench->rows();
  const std::string device = context.backend.device->name(), precision = to_string(context.backend.precision);
  const int ranks = context.host->size();
  if (line.json) {
    nlohmann::json result = step_json(rows, peak);
    result.update({{"seconds_per_step", seconds},
                   {"images_per_second", images_per_second},
                   {"parameters", bench->replica().parameters().parameter_count()},
                   {"ranks", ranks},
                   {"device", device},
                   {"precision", precision},
                   {"libraries", context.backend.libraries}});
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  std::printf("%s, %s on %s: %.2f ms a step, %.1f img/s on %d rank(s); %.1f%% in convolutions and matrix products\n%s",
              context.experiment.model.name.c_str(), precision.c_str(), device.c_str(), 1e3 * seconds,
              images_per_second, ranks, 100 * multiply_share(rows), step_tables(rows, peak).c_str());
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
  const std::unique_ptr<Bench> overlapped = context.make_bench(true), afterwards = context.make_bench(false);
  for (int i = 0; i < kWarmUpSteps + line.repeat; ++i) {
    if (i == kWarmUpSteps) overlapped->restart(), afterwards->restart();
    context.host->barrier();
    overlapped->steps(1);
    context.host->barrier();
    afterwards->steps(1);
  }
  if (context.host->rank() == 0) {
    const double with = overlapped->seconds_per_step(), without = afterwards->seconds_per_step();
    const auto steps = static_cast<double>(overlapped->measured());
    std::printf("%s, %d ranks, %s\n\n", context.experiment.model.name.c_str(), context.host->size(),
                context.backend.communicator->name().c_str());
    std::printf("| | ms a step | waiting for communication, ms |\n|---|--:|--:|\n");
    std::printf("| buckets while backward runs | %.3f | %.3f |\n", 1e3 * with,
                1e3 * overlapped->communication_wait() / steps);
    std::printf("| one bucket after backward | %.3f | %.3f |\n", 1e3 * without,
                1e3 * afterwards->communication_wait() / steps);
    std::printf("| ratio | %.3f | |\n", with / without);
  }
  print_trace(*overlapped, *context.backend.communicator);
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
  const Log log(LogLevel::kInfo, session.size() > 1 ? session.rank() : -1);
  BadSamples bad_samples(log, session.rank());
  if (session.rank() == 0 && !started.experiment.train.stages.empty()) {
    log.warning("train.stages are not measured, but steps with the batch of the experiment on images of data.shape");
  }
  Context context{std::move(started.experiment), hdf5_options(line), std::move(started.communicator), {}, {}};
  context.backend = make_backend(context.experiment, *context.host, started.threads);
  run_on_all_ranks(*context.host, [&] {
    context.data = open_datasets(context.experiment.data, context.experiment.experiment.seed, bad_samples);
  });
  run_on_all_ranks(*context.host, [&] {
    agree_on_run(*context.host, version_text(), started.threads, context.backend, context.data,
                 context.experiment.data.sharding);
  });
  return what == "step" ? bench_step(line, context) : bench_overlap(line, context);
}

}  // namespace convoy
