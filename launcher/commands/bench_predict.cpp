#include "launcher/commands/bench_predict.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>

#include "core/base/file.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"
#include "launcher/network_flags.h"
#include "launcher/predict/link_text.h"
#include "launcher/predict/prediction.h"

namespace convoy {
namespace {

[[noreturn]] void usage(const std::string& message) { throw Error(ExitCode::kUsage, message); }

constexpr int kMostRanks = 1 << 20, kRanksIfNotSaid = 4096;

// Of --ranks; else the powers of two, as many as the link joins.
std::set<int> rank_counts(const CommandLine& line, const Link& link) {
  const int most = link.across > 0 ? kMostRanks : link.node;
  std::set<int> counts;
  std::istringstream list(flag(line, "ranks"));
  for (std::string part; std::getline(list, part, ',');) {
    int count = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), count);
    if (error != std::errc() || end != part.data() + part.size() || count < 1 || count > most) {
      usage("--ranks: expected numbers in [1, " + std::to_string(most) + "], which " + link.name + " joins, found '" +
            part + "'");
    }
    counts.insert(count);
  }
  for (int count = 1; counts.size() < 32 && !line.flags.contains("ranks") && count <= std::min(most, kRanksIfNotSaid);)
    counts.insert(count), count *= 2;
  if (counts.empty()) usage("--ranks: expected numbers, found ''");
  return counts;
}

std::optional<Algorithm> algorithm_of(const CommandLine& line, const Link& link) {
  const std::string name = flag(line, "algorithm", "auto");
  if (name == "auto") return {};
  for (const Algorithm it : {Algorithm::kRing, Algorithm::kTree, Algorithm::kNvls, Algorithm::kHierarchical}) {
    if (name != to_string(it)) continue;
    if (it == Algorithm::kNvls && link.nvls == 0) usage("--algorithm=nvls: " + link.name + " has no switch that adds");
    return it;
  }
  usage("--algorithm: expected auto, ring, tree, nvls or hierarchical, found '" + name + "'");
}

double jitter_of(const CommandLine& line) {
  const std::string text = flag(line, "jitter", "0.5");
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  if (error == std::errc() && end == text.data() + text.size() && percent >= 0 && percent <= 100) return percent / 100;
  usage("--jitter: expected percents in [0, 100], found '" + text + "'");
}

// As `bench step` measures it.
MeasuredStep measure(const CommandLine& line, MpiSession& session) {
  Start started = start(session, line, 1);
  const Experiment& experiment = started.experiment;
  const Log log(LogLevel::kInfo, -1);
  BadSamples bad_samples(log, 0);
  Backend backend = make_backend(experiment, *started.communicator, started.threads);
  const double bandwidth = measure_bandwidth(backend);  // before the network takes its memory
  const Datasets data = open_datasets(experiment.data, experiment.experiment.seed, bad_samples);
  StepBench bench(experiment, hdf5_options(line), *started.communicator, backend, *data.train);
  bench.steps(StepBench::kWarmUpSteps);
  bench.restart();
  bench.steps(line.repeat);
  bench.profile(std::min(line.repeat, StepBench::kWarmUpSteps));
  return {.source = "measured on " + backend.device->name() + ", " + to_string(backend.precision),
          .rows = bench.rows({.flops_per_second = 1, .bytes_per_second = bandwidth}),
          .seconds = bench.seconds_per_step(),
          .images = static_cast<double>(bench.batch().global),
          .bytes_per_second = bandwidth};
}

class Predictor {
 public:
  Predictor(const CommandLine& line, MpiSession& session)
      : hdf5_(hdf5_options(line)),
        experiment_(load_experiment(require_word(line, 1, "an experiment file"), line.overrides, hdf5_)) {
    const std::string compute = flag(line, "compute");
    std::optional<DeviceProfile> device;
    if (const DeviceProfile* known = find_device(compute)) {
      device = *known;
    } else if (line.flags.contains("compute")) {
      std::error_code ignored;
      if (!std::filesystem::exists(compute, ignored)) {
        usage("--compute: expected " + device_names() + " or a file of bench step --json, found '" + compute + "'");
      }
      device = read_device(compute);
    }
    const std::string link = flag(line, "link", device ? device->link : "");
    if (link.empty()) usage("bench predict: expected --link, what joins the ranks");
    machine_.link = parse_link(link, node_of(line));
    machine_.algorithm = algorithm_of(line, machine_.link);
    machine_.jitter = jitter_of(line);
    counts_ = rank_counts(line, machine_.link);
    if (device) {
      use(*device);
      return;
    }
    machine_.compute = measured(line.flags.contains("compute") ? read_measured_step(compute) : measure(line, session),
                                plan_rank(experiment_, 1, {}, hdf5_));
    measures_sums_ = true;
  }

  std::vector<Prediction> by_ranks() const {
    std::vector<Prediction> all;
    for (const int ranks : counts_) all.push_back(at(experiment_, ranks));
    return all;
  }

  // At the most ranks; without those that cannot be trained.
  std::vector<Variant> variants() const {
    const ResolvedBatch batch = resolve(experiment_.batch, 1);
    std::vector<std::pair<std::string, Experiment>> changed;
    const auto change = [&](std::string name, auto apply) {
      apply(changed.emplace_back(std::move(name), experiment_).second);
    };
    const auto of_batch = [&](int global, int micro) {
      return [=](Experiment& it) { it.batch.per_rank.reset(), it.batch.global = global, it.batch.micro = micro; };
    };
    if (batch.global <= (1 << 20)) change("twice the batch", of_batch(2 * batch.global, 2 * batch.micro));
    if (batch.micro % 2 == 0) change("half the batch", of_batch(batch.global / 2, batch.micro / 2));
    for (const double mib : {1, 4, 25, 100}) {
      change("buckets of " + shortest(mib) + " MiB, while backward runs", [=](Experiment& it) {
        it.distributed.overlap = true;
        it.distributed.bucket_mib = mib;
      });
    }
    const bool narrow = experiment_.distributed.gradients == Dtype::kBF16, overlap = experiment_.distributed.overlap;
    change(narrow ? "gradients travel as f32" : "gradients travel as bf16",
           [=](Experiment& it) { it.distributed.gradients = narrow ? Dtype::kF32 : Dtype::kBF16; });
    if (overlap) change("one bucket after backward", [](Experiment& it) { it.distributed.overlap = false; });
    std::vector<Variant> variants;
    for (const auto& [name, experiment] : changed) {
      try {
        variants.push_back({name, at(experiment, *counts_.rbegin())});
      } catch (const Error&) {
        continue;
      }
    }
    return variants;
  }

  const Experiment& experiment() const { return experiment_; }
  const Machine& machine() const { return machine_; }

 private:
  static std::optional<int> node_of(const CommandLine& line) {
    if (!line.flags.contains("node")) return {};
    return std::stoi(flag(line, "node"));
  }

  void use(const DeviceProfile& device) {
    if (experiment_.loss.teacher) usage("--compute=" + device.name + ": the teacher of loss.teacher is not predicted");
    machine_.compute = roofline(device, experiment_.train.precision != Precision::kF32);
    experiment_.train.precision = Precision::kF32;  // the plan
  }

  // Without statistics or updates that all ranks share, a plan for several ranks is one for any number of them.
  static int planned_ranks(const Experiment& experiment, int ranks) {
    return experiment.optimizer.sharded || experiment.train.sync_bn ? ranks : std::min(ranks, 2);
  }
  Prediction at(const Experiment& experiment, int ranks) const {
    return predict(plan_rank(experiment, planned_ranks(experiment, ranks), sum_time(ranks), hdf5_),
                   plan_rank(experiment, 1, {}, hdf5_), ranks, machine_);
  }
  // What ranks that cut buckets by time will find.
  std::optional<SumTime> sum_time(int ranks) const {
    if (!measures_sums_) return {};
    constexpr int64_t kLarge = int64_t{16} << 20;
    const auto seconds = [&](int64_t bytes) {
      return cost_of(Exchange::kAllReduce, bytes, ranks, machine_.link, machine_.algorithm).seconds();
    };
    const double latency = seconds(size_of(Dtype::kF32));
    return SumTime{latency, static_cast<double>(kLarge) / std::max(seconds(kLarge) - latency, 1e-12)};
  }

  const Hdf5Options hdf5_;
  Experiment experiment_;
  Machine machine_;
  bool measures_sums_ = false;  // as ranks on CPUs do
  std::set<int> counts_;
};

}  // namespace

int bench_predict(const CommandLine& line, MpiSession& session) {
  run_on_all_ranks(session, [&] {
    if (session.size() > 1) usage("bench predict: expected one rank, found " + std::to_string(session.size()));
  });
  PosixFileSystem files;
  const std::string directory = flag(line, "out");
  if (!directory.empty()) files.make_directory(directory);  // before work is done for it
  Predictor predictor(line, session);
  const std::vector<Prediction> by_ranks = predictor.by_ranks();
  const std::vector<Variant> variants = predictor.variants();
  const Machine& machine = predictor.machine();
  const std::string network = predictor.experiment().model.name;
  if (line.json) {
    nlohmann::json result{
        {"network", network},       {"compute", machine.compute.source},      {"link", machine.link.name},
        {"jitter", machine.jitter}, {"predictions", nlohmann::json::array()}, {"variants", nlohmann::json::object()}};
    for (const Prediction& it : by_ranks) result["predictions"].push_back(to_json(it));
    for (const auto& [name, it] : variants) result["variants"][name] = to_json(it);
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%s, predicted: %d images a rank; %s; %s\n\n%s\n%s", network.c_str(), by_ranks.front().images,
                machine.compute.source.c_str(), machine.link.name.c_str(), to_markdown(by_ranks).c_str(),
                to_markdown(by_ranks.back(), variants).c_str());
  }
  if (!directory.empty())
    write_file_atomic(files, directory + "/predict.svg", chart(network + ", predicted", by_ranks));
  return 0;
}

}  // namespace convoy
