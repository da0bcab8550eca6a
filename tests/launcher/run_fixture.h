// Whole runs with real layers on made-up data, ranks as threads; for tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dist/thread_group.h"
#include "launcher/training_run.h"
#include "tests/core/base/testing.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {

// Everything whose results could depend on ranks: dropout, batch norm, a residual block, several buckets.
inline constexpr const char* kRunExperiment = R"(
experiment: {name: run}
model:
  layers:
    - conv2d: {filters: 8, kernel: 3, padding: 1, bias: false}
    - batch_norm
    - relu
    - residual:
        layers:
          - conv2d: {filters: 8, kernel: 3, padding: 1, bias: false}
          - batch_norm
    - relu
    - max_pool: {kernel: 2}
    - flatten
    - dropout: {rate: 0.3}
    - linear: {units: 24}
    - relu
    - linear: {units: classes}
data: {format: synthetic, shape: [10, 10, 3], classes: 4, train_size: 960, test_size: 9973, mean: [0.5], std: [0.25]}
batch: {global: 96, micro: 8}
train: {steps: 20, eval_every_epochs: 0}
optimizer: {type: sgd, learning_rate: 0.05, momentum: 0.9, weight_decay: 0.0005}
schedule: {type: cosine, warmup_epochs: 0.5}
distributed: {bucket_mib: 0.002}
checkpoint: {every_epochs: 0}
threads: 1
progress: none
)";

// Another network for it, for images of any size.
inline constexpr const char* kAnySize =
    "model.layers=[{conv2d: {filters: 8, kernel: 3, padding: 1, bias: false}}, batch_norm, relu, {max_pool: {kernel: "
    "2}}, "
    "{conv2d: {filters: 16, kernel: 3}}, relu, global_average, flatten, {linear: {units: classes}}]";

// The update rules that look at whole tensors, and what is theirs; with the average of weights.
struct RuleCase {
  const char* name;
  std::vector<std::string> settings;
};
inline std::vector<RuleCase> rule_cases() {
  const std::string rule = "optimizer.type=", rate = "optimizer.learning_rate=", none = "optimizer.momentum=null";
  std::vector<RuleCase> cases = {
      {"lars", {rule + "lars", rate + "2", "optimizer.trust_coefficient=0.01"}},
      {"lamb", {rule + "lamb", rate + "0.01", none}},
      {"muon", {rule + "muon", rate + "0.02", "optimizer.nesterov=true", "optimizer.weight_decay=0"}},
      {"muon with decay", {rule + "muon", rate + "0.02", "optimizer.renormalize=false"}},
  };
  for (RuleCase& it : cases) it.settings.emplace_back("train.ema_decay=0.75");
  return cases;
}

using Tensors = std::map<std::string, std::vector<float>>;

struct Outcome {
  ExitCode code = ExitCode::kInternal;
  std::vector<Tensors> by_rank;
  std::optional<Evaluation> evaluation;
};

class RunTest : public ConfigTest {
 protected:
  Outcome train(int ranks, const std::vector<std::string>& overrides = {}, bool fresh = false, int signal = 0) {
    const Experiment experiment = load(kRunExperiment, overrides);
    Signals signals;
    if (signal != 0) std::raise(signal);
    Outcome outcome;
    outcome.by_rank.resize(static_cast<size_t>(ranks));
    std::mutex mutex;
    run_thread_group(ranks, [&](Communicator& communicator) {
      TrainingRun run({.version = "test", .fresh = fresh}, experiment, communicator, signals);
      const ExitCode code = run.run();
      const std::lock_guard lock(mutex);
      outcome.code = code;
      outcome.evaluation = run.last_evaluation();
      outcome.by_rank[static_cast<size_t>(communicator.rank())] = tensors(run.model_tensors());
    });
    return outcome;
  }

  static Tensors tensors(const std::vector<NamedTensor>& views) {
    Tensors result;
    for (const NamedTensor& tensor : views) {
      std::vector<float>& values = result[tensor.name];
      values.resize(tensor.bytes.size() / sizeof(float));
      std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
    }
    return result;
  }

  static ExitCode code_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.code();
    }
    return ExitCode::kDone;
  }
};

// What is logged of a step's communication, and the sums of its buckets.
struct LoggedCommunication {
  struct Part {
    int64_t bytes = 0;
    double exposed = 0, busy = 0;
  };
  Part all, buckets;
  int64_t other_bytes() const { return all.bytes - buckets.bytes; }
  double other_busy() const { return all.busy - buckets.busy; }
};

// Of a run of several ranks whose every step was logged and which took `seconds`; by step, of rank 0.
inline std::vector<LoggedCommunication> logged_communication(const std::string& log, double seconds) {
  const auto part = [](const nlohmann::json& it) {
    return LoggedCommunication::Part{it["bytes"], it["exposed_seconds"], it["busy_seconds"]};
  };
  std::vector<LoggedCommunication> steps;
  std::istringstream lines(get_file(log));
  double waited = 0;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json event = nlohmann::json::parse(line);
    if (event["event"] != "step") continue;
    LoggedCommunication& step = steps.emplace_back();
    step.all = part(event["communication"]);
    EXPECT_FALSE(event["communication"]["buckets"].empty());
    for (const nlohmann::json& it : event["communication"]["buckets"]) {
      const auto [bytes, exposed, busy] = part(it);
      EXPECT_GT(bytes, 0);
      EXPECT_GT(busy, 0);
      EXPECT_GE(exposed, 0);
      step.buckets.bytes += bytes;
      step.buckets.exposed += exposed;
      step.buckets.busy += busy;
    }
    waited += step.all.exposed;
  }
  EXPECT_GT(waited, 0);
  EXPECT_LT(waited, seconds);
  return steps;
}

// `train` runs two ranks with such settings, of which each step has several micro-batches.
inline void expect_communication_is_logged(const std::function<void(const std::vector<std::string>&)>& train) {
  constexpr double kRounding = 1e-9;  // seconds
  const auto run = [&](std::vector<std::string> settings) {
    settings.emplace_back("train.log_every_steps=1");
    const auto begin = std::chrono::steady_clock::now();
    train(settings);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    return logged_communication("runs/run/log.jsonl", seconds.count());
  };
  const std::vector<LoggedCommunication> plain = run({});
  for (const LoggedCommunication& step : plain) {
    EXPECT_EQ(step.other_bytes(), 0);
    EXPECT_NEAR(step.other_busy(), 0, kRounding);
    EXPECT_NEAR(step.all.exposed, step.buckets.exposed, kRounding);
    EXPECT_EQ(step.all.bytes, plain.front().all.bytes);
  }
  for (const char* more : {"train.sync_bn=true", "optimizer.sharded=true"}) {  // in no bucket
    const std::vector<LoggedCommunication> steps = run({more});
    EXPECT_EQ(steps.size(), plain.size());
    for (const LoggedCommunication& step : steps) {
      EXPECT_GT(step.other_bytes(), 0) << more;
      EXPECT_EQ(step.other_bytes(), steps.front().other_bytes()) << more;
      EXPECT_GT(step.other_busy(), kRounding) << more;
    }
  }
  const std::vector<LoggedCommunication> averaging = run({"distributed.average_every=2"});
  EXPECT_EQ(averaging.size(), plain.size());
  int64_t checks = averaging.front().other_bytes();  // what ranks tell each other before an update
  for (size_t i = 0; i < averaging.size(); ++i) {
    const bool averages = i % 2 == 1;  // behind the second, fourth, … step, which it belongs to
    EXPECT_EQ(averaging[i].other_bytes() > checks, averages) << "step " << i + 1;
  }
}

// ||a - b|| / max(||b||, 1e-3 sqrt(n))
inline double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), 1e-3 * std::sqrt(static_cast<double>(a.size())));
}

inline double worst_distance(const Tensors& a, const Tensors& b) {
  double worst = 0;
  for (const auto& [name, values] : b) worst = std::max(worst, relative_distance(a.at(name), values));
  return worst;
}

}  // namespace convoy
