// What follows from evaluations: the same on all ranks, and in a run that was stopped anywhere.
#include "launcher/watchers.h"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class WatchersTest : public RunTest {
 protected:
  // 10 epochs of 2 steps: losses of about 1.2, 0.8, 0.3 and then less and less.
  static std::vector<std::string> with(std::vector<std::string> overrides) {
    const std::vector<std::string> all = {"data.train_size=192", "data.test_size=203", "train.eval_every_epochs=1",
                                          "schedule.type=constant", "schedule.warmup_epochs=1.5"};
    overrides.insert(overrides.begin(), all.begin(), all.end());
    return overrides;
  }
  static std::vector<json> log(const std::string& event) {
    std::ifstream file("runs/run/log.jsonl");
    std::vector<json> found;
    for (std::string line; std::getline(file, line);) {
      json entry = json::parse(line);
      if (entry.at("event") == event) found.push_back(std::move(entry));
    }
    return found;
  }
  static json status() { return json::parse(std::ifstream("runs/run/status.json")); }
  static std::string step(int64_t number) {
    char name[32];
    std::snprintf(name, sizeof name, "step-%010lld", static_cast<long long>(number));
    return name;
  }
  // As if the run had been killed before it saved anything behind `last`.
  static void forget_behind(int64_t last) {
    for (int64_t later = last + 1; later <= 20; ++later) fs::remove_all("runs/run/checkpoints/" + step(later));
    fs::remove("runs/run/status.json");
  }
};

const std::vector<std::string> kPlateau = {
    "schedule.plateau={factor: 0.3, patience: 0, threshold: 0.3, threshold_mode: abs, cooldown: 1, min_lr: 0.001}"};

TEST_F(WatchersTest, ThePlateauIsThatOfTheEvaluations) {
  ASSERT_EQ(train(2, with(kPlateau), true).code, ExitCode::kDone);
  const auto config = *load(kRunExperiment, with(kPlateau)).schedule.plateau;
  Plateau plateau(config, 0.05);
  std::map<int64_t, float> rates;  // by step
  for (const json& test : log("test")) {
    const auto at = test.at("step").get<int64_t>();
    if (at >= 3) plateau.observe(test.at("loss").get<double>());  // behind the warm-up
    rates[at] = static_cast<float>(plateau.learning_rate());
  }
  ASSERT_EQ(rates.size(), 10U);
  EXPECT_LT(rates[20], 0.02F);
  train(2, with({kPlateau[0], "train.log_every_steps=1"}), true);
  const std::vector<json> steps = log("step");
  ASSERT_EQ(steps.size(), 20U);
  for (size_t i = 3; i < steps.size(); ++i) {
    const auto before = static_cast<int64_t>(i / 2 * 2);  // the evaluation in front of it
    EXPECT_EQ(steps[i].at("learning_rate").get<float>(), rates[before]) << i;
  }
  EXPECT_FLOAT_EQ(steps[0].at("learning_rate").get<float>(), 0.05F / 3);
  EXPECT_FALSE(log("plateau").empty());
}

TEST_F(WatchersTest, AStoppedRunWithAPlateauGoesOnBitForBit) {
  std::vector<std::string> settings = with(kPlateau);
  settings.insert(settings.end(),
                  {"checkpoint.every_steps=1", "checkpoint.keep=99", "train.early_stopping={patience: 50}"});
  const Outcome whole = train(2, settings, true);
  const std::string text = log("plateau").back().at("text");
  for (const int64_t last : {1, 6, 7, 12, 18}) {
    forget_behind(last);
    EXPECT_EQ(train(2, settings).by_rank, whole.by_rank) << last;
    EXPECT_EQ(log("plateau").back().at("text"), text);
  }
}

// A signal ends a run between a step and its evaluation.
TEST_F(WatchersTest, AnEvaluationThatASignalPreventedIsMadeUpFor) {
  const Outcome whole = train(1, with(kPlateau), true);
  const auto losses = [] {
    std::map<int64_t, double> all;
    for (const json& test : log("test")) all[test.at("step")] = test.at("loss");
    return all;
  };
  const auto expected = losses();
  train(1, with(kPlateau), true, SIGUSR1);  // after step 1
  for (int lives = 2; lives <= 5; ++lives)
    EXPECT_EQ(train(1, with(kPlateau), false, SIGUSR1).code, ExitCode::kPreempted);
  EXPECT_EQ(train(1, with(kPlateau)).by_rank, whole.by_rank);
  EXPECT_EQ(losses(), expected);
}

TEST_F(WatchersTest, EarlyStoppingEndsTheRunOnAllRanks) {
  const std::vector<std::string> settings = with({"train.early_stopping={metric: accuracy, patience: 1}"});
  const Outcome stopped = train(3, settings, true);
  EXPECT_EQ(stopped.code, ExitCode::kDone);
  const auto done = status().at("steps_done").get<int64_t>();
  EXPECT_LT(done, 20);
  EXPECT_EQ(status().at("phase"), "finished");
  EXPECT_EQ(status().at("reason"), "early_stopping");
  EXPECT_EQ(log("early_stopping").size(), 1U);
  EXPECT_TRUE(fs::exists("runs/run/checkpoints/" + step(done)));
  EXPECT_EQ(code_of([&] { train(3, settings); }), ExitCode::kCannotCreate);  // it is finished
  fs::remove("runs/run/status.json");                                        // killed before it could say so
  EXPECT_EQ(train(3, settings).by_rank, stopped.by_rank);
  EXPECT_EQ(status().at("reason"), "early_stopping");
  EXPECT_EQ(status().at("steps_done"), done);
  const std::vector<std::string> patient = with({"train.early_stopping={metric: accuracy, patience: 99}"});
  EXPECT_EQ(train(3, patient).code, ExitCode::kDone);
  EXPECT_EQ(status().at("steps_done"), 20);
  EXPECT_FALSE(status().contains("reason"));
}

TEST_F(WatchersTest, TheBestCheckpointIsKept) {
  const std::vector<std::string> settings = with({"checkpoint.best=loss", "checkpoint.keep=1"});
  const auto best_of = [](const std::vector<json>& tests) {
    return *std::ranges::min_element(tests, {}, [](const json& test) { return test.at("loss").get<double>(); });
  };
  train(2, settings, true);
  const json best = best_of(log("test"));
  const std::string name = step(best.at("step"));
  std::vector<std::string> kept;
  for (const auto& entry : fs::directory_iterator("runs/run/best")) {
    if (entry.is_directory()) kept.push_back(entry.path().filename());
  }
  ASSERT_EQ(kept, std::vector{name});
  const Checkpoint checkpoint = load_checkpoint("runs/run/best");
  EXPECT_EQ(checkpoint.path, "runs/run/best/" + name);
  EXPECT_EQ(json::parse(checkpoint.state.metadata().at("convoy.best")).at("value"), best.at("loss"));
  EXPECT_TRUE(fs::exists("runs/run/checkpoints/" + step(20)));

  // A longer run that gets worse keeps it, and one that starts from it has its weights.
  std::vector<std::string> longer = settings;
  longer.insert(longer.end(), {"train.steps=24", "optimizer.learning_rate=30"});
  train(2, longer);
  EXPECT_EQ(load_checkpoint("runs/run/best").path, checkpoint.path);
  std::vector<std::string> from_it = settings;
  from_it.insert(from_it.end(), {"experiment.name=other", "checkpoint.resume=runs/run/best",
                                 "train.steps=" + std::to_string(checkpoint.manifest.step)});
  EXPECT_EQ(train(2, from_it).evaluation->loss, best.at("loss").get<double>());
}

TEST_F(WatchersTest, ABestCheckpointOfAnotherMetricIsReplaced) {
  train(1, with({"checkpoint.best=loss"}), true);
  train(1, with({"checkpoint.best=accuracy", "train.steps=22"}));
  EXPECT_EQ(load_checkpoint("runs/run/best").manifest.step, 22);
}

TEST_F(WatchersTest, ThereMustBeTestData) {
  write("i.gz", std::string("\0\0\x8\x3\0\0\0\x8\0\0\0\x1\0\0\0\x1", 16) + std::string(8, 'x'));
  write("l.gz", std::string("\0\0\x8\x1\0\0\0\x8", 8) + std::string(8, '\0'));
  Signals signals;
  for (const char* setting : {"schedule.plateau={}", "train.early_stopping={}", "checkpoint.best=loss"}) {
    const Experiment experiment = load(kMinimal, {setting, "batch.global=4", "device=cpu", "progress=none"});
    EXPECT_EQ(code_of([&] {
                run_thread_group(1, [&](Communicator& communicator) {
                  TrainingRun run({.version = "test", .fresh = true}, experiment, communicator, signals);
                });
              }),
              ExitCode::kConfig)
        << setting;
  }
}

TEST_F(WatchersTest, StateGoesThroughTextUnchanged) {
  const auto made = [](double learning_rate) {
    Watchers watchers{.learning_rate = learning_rate};
    watchers.plateau.emplace(PlateauOptions{.patience = 1}, learning_rate);
    watchers.early_stopping.emplace(EarlyStoppingOptions{.metric = Metric::kAccuracy, .patience = 9});
    return watchers;
  };
  Watchers watchers = made(0.1);
  const auto restored = [&](double learning_rate) {
    Watchers other = made(learning_rate);
    other.restore(watchers.text(), "x");
    return other;
  };
  EXPECT_EQ(restored(0.1).text(), watchers.text());
  for (int64_t step = 1; step <= 7; ++step) {
    watchers.observe(step, {1.0 / 3 + (step % 3 == 0 ? 0.1 : 0), step % 4, 7});
    EXPECT_EQ(restored(0.1).text(), watchers.text());
  }
  EXPECT_DOUBLE_EQ(watchers.plateau->learning_rate(), 0.0001);
  EXPECT_DOUBLE_EQ(restored(0.2).plateau->learning_rate(), 0.0002);  // another base, as low a part of it
  for (const char* text : {"", "[]", "{}", "{\"evaluated_step\": \"x\"}", "{\"evaluated_step\": 1, \"plateau\": 3}",
                           "{\"evaluated_step\": 1, \"plateau\": {\"metric\": 0}}"}) {
    EXPECT_EQ(code_of([&] { watchers.restore(text, "x"); }), ExitCode::kBadData) << text;
  }
}

}  // namespace
}  // namespace convoy
