#include "launcher/commands/bench_scaling.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <numeric>
#include <set>
#include <sstream>

#include "core/base/file.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/commands/scaling_report.h"
#include "launcher/commands/step_bench.h"
#include "launcher/config/values.h"

namespace convoy {
namespace {

std::vector<std::string> parts_of(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

// Of `--name=…`; all of `known` where it is not given.
std::vector<std::string> chosen(const CommandLine& line, const std::string& name,
                                const std::vector<std::string>& known) {
  const std::string given = flag(line, name);
  if (given.empty()) return known;
  std::vector<std::string> parts;
  for (const std::string& part : parts_of(given)) {
    if (std::ranges::count(known, part) == 0) {
      std::string all;
      for (const std::string& it : known) all += (all.empty() ? "" : ", ") + it;
      throw Error(ExitCode::kUsage, "--" + name + ": expected some of " + all + ", found '" + part + "'");
    }
    if (std::ranges::count(parts, part) == 0) parts.push_back(part);
  }
  return parts;
}

// Of `--ranks=1,2,6`; else the powers of two, and all there are.
std::set<int> rank_counts(const CommandLine& line, int size) {
  std::set<int> counts;
  for (const std::string& part : parts_of(flag(line, "ranks"))) {
    int count = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), count);
    if (error != std::errc() || end != part.data() + part.size() || count < 1 || count > size) {
      throw Error(ExitCode::kUsage, "--ranks: expected numbers in [1, " + std::to_string(size) +
                                        "], the ranks of this job, found '" + part + "'");
    }
    counts.insert(count);
  }
  if (!counts.empty()) return counts;
  for (int count = 1; count < size; count *= 2) counts.insert(count);
  counts.insert(size);
  return counts;
}

BenchMode mode_of(const std::string& name) {
  return name == "loader" ? BenchMode::kLoader : name == "full" ? BenchMode::kFull : BenchMode::kSynthetic;
}

// Weak: every rank has the experiment's batch.  Strong: all ranks together have it, in micro-batches of which each rank
// has one at least.
BatchConfig batch_for(const ScalingPoint& point, const ResolvedBatch& whole) {
  BatchConfig batch;
  const auto global = static_cast<int>(whole.global), micro = static_cast<int>(whole.micro);
  if (point.scaling == "weak") {
    batch.global = global * point.ranks;
    batch.micro = micro;
    return batch;
  }
  batch.global = global;
  batch.micro = std::gcd(micro, global / point.ranks);
  return batch;
}

class ScalingBench {
 public:
  ScalingBench(const CommandLine& line, MpiSession& session, const Experiment& experiment, int threads,
               const Hdf5Options& hdf5, const Datasets& data)
      : repeat_(line.repeat), session_(session), experiment_(experiment), threads_(threads), hdf5_(hdf5), data_(data) {}

  // What the points are to be, with no rounds yet.
  void add_points(const CommandLine& line) {
    const ResolvedBatch whole = resolve(experiment_.batch, 1);
    const std::vector<std::string> scalings = chosen(line, "scaling", {"weak", "strong"}),
                                   modes = chosen(line, "mode", {"synthetic", "loader", "full"});
    for (const std::string& scaling : scalings) {
      for (const std::string& mode : modes) {
        for (const int ranks : rank_counts(line, session_.size())) {
          ScalingPoint point{.ranks = ranks, .scaling = scaling, .mode = mode, .rounds = {}};
          if (scaling == "strong" && !divides(ranks, whole, line)) continue;
          const ResolvedBatch batch = resolve(batch_for(point, whole), ranks);
          if (mode != "synthetic" && data_.train->size() < batch.global) {
            throw Error(ExitCode::kConfig, scaling + " scaling, " + mode + ", " + std::to_string(ranks) +
                                               " ranks: a global batch has " + std::to_string(batch.global) +
                                               " samples, the data set only " + std::to_string(data_.train->size()));
          }
          point.global_batch = batch.global;
          point.micro_batch = batch.micro;
          report_.points.push_back(std::move(point));
        }
      }
    }
  }

  const ScalingReport& measure() {
    report_.network = experiment_.model.name;
    report_.experiment = show(experiment_);
    report_.repeat = repeat_;
    report_.widest_spread = kWidestSpread;
    report_.environment["program"] = version_text();
    report_.environment["threads a rank"] = std::to_string(threads_);
    for (int round = 0; round < kRounds; ++round) {
      for (ScalingPoint& point : report_.points) {
        if (session_.rank() == 0) {
          std::fprintf(stderr, "round %d of %d: %s, %s, %d rank(s)\n", round + 1, kRounds, point.scaling.c_str(),
                       point.mode.c_str(), point.ranks);
        }
        measure(point);
      }
    }
    return report_;
  }

 private:
  // Strong scaling over so many ranks.  Where nobody asked for it, it is left out.
  bool divides(int ranks, const ResolvedBatch& whole, const CommandLine& line) const {
    if (whole.global % ranks == 0) return true;
    const std::string why = "strong scaling: the batch of " + std::to_string(whole.global) +
                            " rows is not a multiple of " + std::to_string(ranks) + " ranks";
    if (line.flags.contains("scaling") || line.flags.contains("ranks")) throw Error(ExitCode::kConfig, why);
    if (session_.rank() == 0) std::fprintf(stderr, "left out: %s\n", why.c_str());
    return false;
  }

  void measure(ScalingPoint& point) {
    const bool takes_part = session_.rank() < point.ranks;
    const std::unique_ptr<MpiSession> group = session_.split(takes_part ? 0 : 1);
    std::exception_ptr error;
    try {
      if (takes_part) point.rounds.push_back(measured(point, *group));
    } catch (const CollectiveError&) {
      error = std::current_exception();  // all of the group have it
    }
    session_.wait_asleep();
    run_on_all_ranks(session_, [&] {
      if (error) std::rethrow_exception(error);
    });
  }

  ScalingPoint::Round measured(const ScalingPoint& point, MpiSession& group) {
    Experiment experiment = experiment_;
    experiment.batch = batch_for(point, resolve(experiment.batch, 1));
    std::unique_ptr<Communicator> host;
    run_on_all_ranks(group, [&] { host = make_host_communicator(group, experiment.distributed); });
    Backend backend = make_backend(experiment, *host, threads_);
    std::unique_ptr<StepBench> bench;
    run_on_all_ranks(*host, [&] {
      bench =
          std::make_unique<StepBench>(experiment, hdf5_, *host, backend, *data_.train, mode_of(point.mode), threads_);
    });
    bench->steps(StepBench::kWarmUpSteps);
    bench->restart();
    host->barrier();
    bench->steps(repeat_);
    if (host->rank() == 0) {
      report_.environment["device"] = backend.device->name();
      report_.environment["libraries"] = backend.libraries;
      report_.environment["precision"] = to_string(backend.precision);
      report_.environment["communicator of " + std::to_string(point.ranks) + " rank(s)"] = backend.communicator->name();
    }
    return {.seconds = most(bench->seconds_per_step(), *host),
            .communication_wait = mean(bench->communication_wait(), *host),
            .data_wait = mean(bench->data_wait(), *host)};
  }

  static constexpr int kRounds = 5;
  static constexpr double kWidestSpread = 0.1;

  const int repeat_;
  MpiSession& session_;
  const Experiment& experiment_;
  const int threads_;
  const Hdf5Options& hdf5_;
  const Datasets& data_;
  ScalingReport report_;
};

std::string date_and_time() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32] = "";
  std::strftime(text, sizeof text, "%FT%TZ", &utc);
  return text;
}

std::string load_average() {
  double load = 0;
  if (getloadavg(&load, 1) != 1) return "unknown";
  return decimal(load, 2);
}

// Each host with its ranks: "node1: 0-7, node2: 8-15".
std::string hosts_of(RankGroup& group) {
  std::vector<std::string> names = group.all_gather_bytes(host_name());
  std::string text;
  for (size_t begin = 0, end = 0; begin < names.size(); begin = end) {
    while (end < names.size() && names[end] == names[begin]) ++end;
    text += (text.empty() ? "" : ", ") + names[begin] + ": " + std::to_string(begin);
    if (end - begin > 1) text += "-" + std::to_string(end - 1);
  }
  return text;
}

}  // namespace

void bench_scaling(const CommandLine& line, MpiSession& session, const Experiment& experiment, int threads,
                   const Hdf5Options& hdf5, const Datasets& data) {
  const std::string directory = flag(line, "out", "scaling-" + experiment.experiment.name);
  ScalingBench bench(line, session, experiment, threads, hdf5, data);
  PosixFileSystem files;
  run_on_all_ranks(session, [&] {
    bench.add_points(line);
    if (session.rank() == 0) files.make_directory(directory);  // before work is done for it
  });
  const std::string date = date_and_time(), load = load_average(), hosts = hosts_of(session);
  ScalingReport report = bench.measure();
  run_on_all_ranks(session, [&] {
    if (session.rank() != 0) return;
    report.environment["date"] = date;
    report.environment["hosts"] = hosts;
    report.environment["load average before and after"] = load + ", " + load_average();
    const std::string text = to_markdown(report), json = to_json(report).dump(2) + "\n";
    std::printf("%s", line.json ? json.c_str() : text.c_str());  // before what may fail
    const std::map<std::string, std::string> drawn = charts(report);
    for (const char* name : {"throughput.svg", "loader.svg", "efficiency.svg", "breakdown.svg"}) {
      const std::string path = directory + "/" + name;
      std::error_code ignored;
      if (drawn.contains(name)) {
        write_file_atomic(files, path, drawn.at(name));
      } else {
        std::filesystem::remove(path, ignored);  // of an earlier report
      }
    }
    write_file_atomic(files, directory + "/report.md", text);
    write_file_atomic(files, directory + "/results.json", json);
  });
}

}  // namespace convoy
