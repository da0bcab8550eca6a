#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "dist/staged.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/bench_all_reduce.h"
#include "launcher/commands/bench_diff.h"
#include "launcher/commands/bench_layers.h"
#include "launcher/commands/bench_loader.h"
#include "launcher/commands/bench_predict.h"
#include "launcher/commands/bench_scaling.h"
#include "launcher/commands/commands.h"
#include "launcher/commands/step_bench.h"
#include "launcher/network_flags.h"
#include "launcher/setup.h"
#include "launcher/stopwatch.h"

namespace convoy {
namespace {

struct Context {
  Experiment experiment;
  Hdf5Options hdf5;  // for a teacher
  std::unique_ptr<Communicator> host;
  Backend backend;
  Datasets data;

  std::unique_ptr<StepBench> make_bench(bool overlap) {
    std::unique_ptr<StepBench> bench;
    experiment.distributed.overlap = overlap;
    run_on_all_ranks(*host,
                     [&] { bench = std::make_unique<StepBench>(experiment, hdf5, *host, backend, *data.train); });
    return bench;
  }
};

// How long a training step takes, and where the time goes.
int bench_step(const CommandLine& line, Context& context) {
  const MachinePeak peak = measure_peak(context.backend);  // before the network takes its memory
  const std::unique_ptr<StepBench> bench = context.make_bench(context.experiment.distributed.overlap);
  bench->steps(StepBench::kWarmUpSteps);
  bench->restart();
  bench->steps(line.repeat);
  bench->profile(std::min(line.repeat, StepBench::kWarmUpSteps));
  if (context.host->rank() != 0) return 0;
  const double seconds = bench->seconds_per_step(), images_per_second = bench->batch().global / seconds;
  const std::vector<StepRow> rows = bench->rows(peak);
  const std::string device = context.backend.device->name(), precision = to_string(context.backend.precision);
  const int ranks = context.host->size();
  if (line.json) {
    nlohmann::json result = step_json(rows, peak);
    result.update({{"seconds_per_step", seconds},
                   {"communication_wait", bench->communication_wait()},
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
void print_trace(StepBench& bench, Communicator& communicator) {
  Replica& replica = bench.replica();
  const Plan& plan = replica.pass({bench.passes() == 1, true});
  struct Row {
    double begin, end;
    int64_t in_flight;
  };
  std::vector<Row> rows;
  const Stopwatch watch;
  for (const Step& step : plan.steps()) {
    const double begin = watch.seconds();
    step.run();
    communicator.progress();
    rows.push_back({begin, watch.seconds(), communicator.in_flight()});
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

// The same on every rank by itself, with as many passes as it has in the common step: nothing is communicated.
class Alone {
 public:
  Alone(const Context& context, const StepBench& together)
      : experiment_(context.experiment), communicator_(make_solo_communicator()) {
    const int micro = static_cast<int>(together.batch().micro);
    experiment_.batch = {.global = micro * static_cast<int>(together.passes()), .micro = micro};
  }
  // Of `context`, whose other benches are made already.
  std::unique_ptr<StepBench> make_bench(Context& context) {
    Backend& backend = context.backend;
    if (backend.library) on_device_ = make_staged_communicator(*communicator_, *backend.device);
    Communicator* const own = on_device_ ? on_device_.get() : communicator_.get();
    Communicator* const common = std::exchange(backend.communicator, own);
    std::unique_ptr<StepBench> bench;
    run_on_all_ranks(*context.host, [&] {
      bench = std::make_unique<StepBench>(experiment_, context.hdf5, *communicator_, backend, *context.data.train);
    });
    backend.communicator = common;
    return bench;
  }

 private:
  Experiment experiment_;
  std::unique_ptr<Communicator> communicator_, on_device_;
};

void print_overlap(const Context& context, double overlapped, double exposed, double afterwards, double alone) {
  std::printf("%s, %d ranks, %s\n\n", context.experiment.model.name.c_str(), context.host->size(),
              context.backend.communicator->name().c_str());
  std::printf("| | ms a step | of each rank alone |\n|---|--:|--:|\n");
  const std::pair<const char*, double> rows[] = {{"buckets while backward runs", overlapped},
                                                 {"one bucket after backward", afterwards},
                                                 {"each rank alone, nothing communicated", alone}};
  for (const auto& [name, seconds] : rows) {
    std::printf("| %s | %.3f | %.3f |\n", name, 1e3 * seconds, seconds / alone);
  }
  std::printf("\nEfficiency %.1f%%; a rank waits %.3f ms of a step for communication, buckets while backward runs.\n",
              100 * alone / overlapped, 1e3 * exposed);
}

void print_buckets(const std::vector<Communication::Bucket>& buckets, int ranks) {
  std::printf("\n| bucket | KiB | exposed, ms | busy, ms | busbw, GB/s |\n|--:|--:|--:|--:|--:|\n");
  for (size_t i = 0; i < buckets.size(); ++i) {
    const auto [bytes, exposed, busy] = buckets[i];
    const double sent = 2.0 * (ranks - 1) / ranks * static_cast<double>(bytes);
    std::printf("| %zu | %.1f | %.3f | %.3f | %.2f |\n", i, static_cast<double>(bytes) / 1024, 1e3 * exposed,
                1e3 * busy, 1e-9 * sent / busy);
  }
}

// What communication costs, and what summing buckets while backward runs gains over one sum afterwards: steps by turns,
// in one run.
int bench_overlap(const CommandLine& line, Context& context) {
  const std::unique_ptr<StepBench> together = context.make_bench(true), after = context.make_bench(false);
  Alone on_its_own(context, *together);
  const std::unique_ptr<StepBench> apart = on_its_own.make_bench(context);
  Communicator& host = *context.host;
  for (int i = 0; i < StepBench::kWarmUpSteps + line.repeat; ++i) {
    for (StepBench* bench : {together.get(), after.get(), apart.get()}) {
      if (i == StepBench::kWarmUpSteps) bench->restart();
      host.barrier();
      bench->steps(1);
    }
  }
  const double overlapped = most(together->seconds_per_step(), host),
               afterwards = most(after->seconds_per_step(), host), alone = most(apart->seconds_per_step(), host);
  const double exposed = most(together->communication_wait(), host);
  if (line.json && host.rank() == 0) {
    std::printf("%s\n", nlohmann::json{{"seconds_per_step", overlapped},
                                       {"seconds_afterwards", afterwards},
                                       {"seconds_alone", alone},
                                       {"efficiency", alone / overlapped},
                                       {"communication_wait", exposed},
                                       {"images_per_second", together->batch().global / overlapped},
                                       {"parameters", together->replica().parameters().parameter_count()},
                                       {"ranks", host.size()},
                                       {"communicator", context.backend.communicator->name()},
                                       {"buckets", to_json(together->buckets())}}
                            .dump()
                            .c_str());
  }
  if (line.json) return 0;
  if (host.rank() == 0) print_overlap(context, overlapped, exposed, afterwards, alone);
  if (host.rank() == 0) print_buckets(together->buckets(), host.size());
  print_trace(*together, *context.backend.communicator);
  return 0;
}

constexpr const char* kWhat = "step, layers, loader, overlap, all-reduce, scaling, predict or diff";

const std::set<std::string> kPredictFlags{"ranks", "out", "compute", "link", "node", "algorithm", "jitter"};

// Whether this kind of bench is there, and has the flags and words that were given.
void require_flags(const std::string& what, const CommandLine& line) {
  static const std::map<std::string, std::set<std::string>> kinds{{"step", {}},
                                                                  {"layers", {}},
                                                                  {"loader", {}},
                                                                  {"overlap", {}},
                                                                  {"all-reduce", {"minbytes", "maxbytes"}},
                                                                  {"scaling", {"ranks", "scaling", "mode", "out"}},
                                                                  {"predict", kPredictFlags},
                                                                  {"diff", {}}};
  const auto kind = kinds.find(what);
  if (kind == kinds.end()) {
    throw Error(ExitCode::kUsage, std::string("bench: expected ") + kWhat + ", found '" + what + "'");
  }
  for (const char* flag :
       {"minbytes", "maxbytes", "ranks", "scaling", "mode", "out", "compute", "link", "node", "algorithm", "jitter"}) {
    if (!line.flags.contains(flag) || kind->second.contains(flag)) continue;
    throw Error(ExitCode::kUsage, "bench " + what + ": has no --" + flag);
  }
  const bool diff = what == "diff";
  if (diff && line.json) throw Error(ExitCode::kUsage, "bench diff: has no --json");
  if (diff && !line.overrides.empty())
    throw Error(ExitCode::kUsage, "bench diff: unexpected '" + line.overrides[0] + "'");
  if (diff || line.words.size() <= 2) return;
  throw Error(ExitCode::kUsage, "bench: unexpected '" + line.words[2] + "' after '" + line.words[1] + "'");
}

}  // namespace

int bench_command(const CommandLine& line, MpiSession& session) {
  std::string what;
  run_on_all_ranks(session, [&] {
    what = require_word(line, 0, kWhat);
    require_flags(what, line);
    if (what == "diff") require_word(line, 2, "two results of bench scaling");
    if (what != "overlap" && what != "all-reduce") return;
    if (session.size() == 1) throw Error(ExitCode::kUsage, "bench " + what + ": expected several ranks, found one");
  });
  if (what == "diff") return session.rank() == 0 ? bench_diff(line.words[1], line.words[2]) : 0;
  if (what == "predict") return bench_predict(line, session);
  Start started = start(session, line, 1);
  const Log log(LogLevel::kInfo, session.size() > 1 ? session.rank() : -1);
  BadSamples bad_samples(log, session.rank());
  if (session.rank() == 0 && !started.experiment.train.stages.empty()) {
    log.warning("train.stages are not measured, but steps with the batch of the experiment on images of data.shape");
  }
  Context context{std::move(started.experiment), hdf5_options(line), std::move(started.communicator), {}, {}};
  context.backend = make_backend(context.experiment, *context.host, started.threads);
  if (what == "all-reduce") {
    bench_all_reduce(line, context.experiment, *context.host, context.backend);
    return 0;
  }
  if (what == "loader") context.experiment.data.cache = DataCache::kNone;  // measured is reading
  run_on_all_ranks(*context.host, [&] {
    context.data = open_datasets(context.experiment.data, context.experiment.experiment.seed, bad_samples);
  });
  run_on_all_ranks(*context.host, [&] {
    agree_on_run(*context.host, version_text(), started.threads, context.backend, context.data,
                 context.experiment.data.sharding);
  });
  if (what == "scaling") {
    bench_scaling(line, session, context.experiment, started.threads, context.hdf5, context.data);
    return 0;
  }
  if (what == "layers") {
    bench_layers(line, context.experiment, context.hdf5, *context.host, context.backend, *context.data.train);
    return 0;
  }
  if (what == "loader") {
    bench_loader(line, context.experiment, *context.host, *context.backend.device, context.data, started.threads);
    return 0;
  }
  return what == "step" ? bench_step(line, context) : bench_overlap(line, context);
}

}  // namespace convoy
