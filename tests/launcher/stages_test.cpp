// Runs whose first epochs have other batches, or images of another size.
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/core/base/testing.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class StagesTest : public RunTest {
 protected:
  Outcome train_in(const std::string& stages, int ranks = 1, std::vector<std::string> more = {}, bool fresh = true) {
    std::vector<std::string> settings = {"train={epochs: 3, eval_every_epochs: 0, stages: [" + stages + "]}",
                                         "data.test_size=99"};
    settings.insert(settings.end(), more.begin(), more.end());
    return train(ranks, settings, fresh);
  }

  static std::vector<nlohmann::json> steps_of_log() {
    std::vector<nlohmann::json> events;
    std::istringstream lines(get_file("runs/run/log.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json event = nlohmann::json::parse(line);
      if (event["event"] == "step") events.push_back(std::move(event));
    }
    return events;
  }
};

TEST_F(StagesTest, LikeTheRestChangeNothing) {
  const Outcome plain = train_in("");
  EXPECT_EQ(train_in("{epochs: 1, global: 96, micro: 8}").by_rank, plain.by_rank);
  EXPECT_EQ(train_in("{epochs: 2, size: [10, 10]}").by_rank, plain.by_rank);
  EXPECT_EQ(train_in("", 3).by_rank,
            train_in("{epochs: 1, size: [10, 10]}, {epochs: 1, global: 96, micro: 8}", 3).by_rank);
}

TEST_F(StagesTest, HaveBatchesOfTheirOwn) {
  const std::string stages = "{epochs: 1, global: 192, micro: 16}, {epochs: 1, global: 48, micro: 8}";
  const std::vector<std::string> rate = {"optimizer.learning_rate={base: 0.01, per: 96}", "schedule=null",
                                         "train.log_every_steps=1"};
  const Outcome alone = train_in(stages, 1, rate);
  const std::vector<nlohmann::json> steps = steps_of_log();
  ASSERT_EQ(steps.size(), 5U + 20U + 10U);  // of 960 samples
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i]["epoch"], i < 5 ? 0 : i < 25 ? 1 : 2) << i;
    EXPECT_FLOAT_EQ(steps[i]["learning_rate"].get<float>(), i < 5 ? 0.02F : i < 25 ? 0.005F : 0.01F) << i;
  }
  for (const int ranks : {2, 3, 6}) {
    const Outcome several = train_in(stages, ranks, rate);
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5) << ranks;
    EXPECT_EQ(several.evaluation->correct, alone.evaluation->correct) << ranks;
  }
}

TEST_F(StagesTest, HaveImagesOfTheirOwn) {
  const std::string stages = "{epochs: 1, size: [6, 8], global: 96, micro: 16}, {epochs: 1, size: [8, 8]}";
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{kAnySize}, {kAnySize, "train.recompute=blocks", "optimizer.sharded=true"}}) {
    const Outcome alone = train_in(stages, 1, more), several = train_in(stages, 3, more);
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5);
    EXPECT_EQ(several.evaluation->correct, alone.evaluation->correct);
    EXPECT_GT(worst_distance(alone.by_rank[0], train_in("", 1, more).by_rank[0]), 1e-3);
  }
}

TEST_F(StagesTest, MayFillTheRun) {
  const std::string stages = "{epochs: 2, size: [6, 6]}, {epochs: 1, size: [8, 8]}";
  const Outcome whole = train_in(stages, 2, {kAnySize});
  EXPECT_EQ(whole.evaluation->images, 99);  // of 10x10
  EXPECT_EQ(train_in("{epochs: 2, size: [6, 6]}, {epochs: 2, size: [8, 8]}", 2, {kAnySize, "train.steps=30"}).by_rank,
            whole.by_rank);
}

TEST_F(StagesTest, ARateOfABatchIsNotThatNumber) {
  const std::string stages = "{epochs: 1, global: 192, micro: 8}";
  train_in(stages, 1, {"optimizer.learning_rate={base: 0.01, per: 96}", "checkpoint.every_steps=4"});
  fs::remove_all("runs/run/checkpoints/step-0000000025");
  fs::remove("runs/run/status.json");
  testing::internal::CaptureStdout();
  train_in(stages, 1, {"optimizer.learning_rate=0.01", "checkpoint.every_steps=4", "progress=plain"}, false);
  const std::string header = testing::internal::GetCapturedStdout();
  EXPECT_NE(header.find("not bit for bit: other settings changed"), std::string::npos) << header;
  EXPECT_NE(header.find("from epoch 1: images of 10x10, batch 192 = 24 micro-batches of 8, 5 steps an epoch"),
            std::string::npos)
      << header;
}

// As if the run had been killed behind step `step` of 25.
void forget_after(int step) {
  for (int later = step + 1; later <= 25; ++later) {
    char name[64];
    std::snprintf(name, sizeof name, "runs/run/checkpoints/step-%010d", later);
    fs::remove_all(name);
  }
  fs::remove("runs/run/status.json");
}

TEST_F(StagesTest, ResumedRunIsBitwiseEqual) {
  const std::string stages = "{epochs: 1, size: [6, 8], global: 192, micro: 16}, {epochs: 1, size: [8, 8]}";
  const std::vector<std::string> plain = {kAnySize, "checkpoint.every_steps=1", "checkpoint.keep=99"};
  const std::vector<std::vector<std::string>> more = {
      {},
      {"train.ema_decay=0.75", "data.mix={mixup: 0.5, cutmix: 1}", "optimizer.sharded=true"},
      {"train.sync_bn=true", "train.eval_every_epochs=1", "train.early_stopping={metric: loss, patience: 9}",
       "schedule={type: constant, plateau: {metric: loss, patience: 0, factor: 0.5, threshold: 0.5}}"},
      {"data.sharding=local", "data.augment={pad_crop: 1, flip: 0.5}"}};
  for (const std::vector<std::string>& settings : more) {
    std::vector<std::string> saving = plain;
    saving.insert(saving.end(), settings.begin(), settings.end());
    const Outcome whole = train_in(stages, 2, saving);  // 5 + 10 + 10 steps
    for (const int step : {20, 15, 12, 5}) {
      forget_after(step);
      EXPECT_EQ(train_in(stages, 2, saving, false).by_rank, whole.by_rank)
          << "from step " << step << (settings.empty() ? "" : " with " + settings.front());
    }
  }
}

TEST_F(StagesTest, ThatAreOthersEndAResumedRun) {
  const std::vector<std::string> saving = {"checkpoint.every_steps=4", "checkpoint.keep=99"};
  train_in("{epochs: 1, global: 192, micro: 16}", 2, saving);
  forget_after(12);
  EXPECT_EQ(code_of([&] { train_in("", 2, saving, false); }), ExitCode::kConfig);
}

// Though it is read in three sizes, and only one may be passed over.
TEST_F(StagesTest, CountABadImageOnce) {
  put_pictures("pictures", 120, 4);
  put_file("pictures/b/17.jpg", get_file("pictures/b/17.jpg").substr(0, 700));
  const std::vector<std::string> images = {
      kAnySize, "data={format: images, path: pictures, validation: 0.1, on_error: skip, max_bad: 0.01}",
      "batch.global=48", "data.train_size=null", "data.test_size=null"};
  EXPECT_EQ(train_in("{epochs: 1, size: [6, 6]}, {epochs: 1, size: [8, 8]}", 1, images).code, ExitCode::kDone);
  const std::string told = get_file("runs/run/bad_samples.jsonl");
  EXPECT_EQ(std::ranges::count(told, '\n'), 1) << told;
}

TEST_F(StagesTest, ANetworkThatReadsAllOfAnImageKeepsItsSize) {
  try {
    train_in("{epochs: 1, size: [8, 8]}");
    ADD_FAILURE() << "accepted another size behind a flatten";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    const std::string what = error.what();
    EXPECT_NE(what.find("train.stages: images of 8x8: linear_1.weight is 24x1x1x128, and for images of data.shape "
                        "24x1x1x200"),
              std::string::npos)
        << what;
    EXPECT_NE(what.find("global_average"), std::string::npos) << what;
  }
}

// The first with what ranks ask for, the others with what only data and network know.
TEST_F(StagesTest, AreNamedInWhatIsRefused) {
  const struct {
    const char *stage, *error;
  } cases[] = {
      {"{epochs: 1, global: 16, micro: 8}",
       "train.stages[0]: 16 rows in micro-batches of 8 give 2 for 3 ranks; raise "
       "train.stages[0].global, lower train.stages[0].micro or start fewer ranks"},
      {"{epochs: 1, global: 9600, micro: 8}", "train.stages[0].global: expected at most the 960 samples"},
      {"{epochs: 1, global: 96, micro: 5}",
       "train.stages[0].micro: expected a divisor of train.stages[0].global 96, found 5"},
      {"{epochs: 1, micro: 1}", "data.mix: mixes rows of a micro-batch, and train.stages[0].micro is 1"},
      {"{epochs: 1, size: [2, 9]}", "train.stages: images of 2x9: "},
  };
  for (const auto& [stage, error] : cases) {
    try {
      train_in(stage, 3, {kAnySize, "data.mix.mixup=0.5"});
      ADD_FAILURE() << "accepted " << stage;
    } catch (const Error& found) {
      EXPECT_EQ(found.code(), ExitCode::kConfig) << found.what();
      EXPECT_NE(std::string(found.what()).find(error), std::string::npos) << found.what();
    }
  }
}

TEST_F(StagesTest, RowsOfARankAreAMicroBatch) {
  const Experiment experiment =
      load(kRunExperiment, {"batch={per_rank: 16}", "train.stages=[{epochs: 1, global: 64}]", "train.epochs=2"});
  const std::vector<StageSettings> stages = stage_settings(experiment, {1, 10, 10, 3}, 3);
  EXPECT_EQ(stages[0].batch.micro, 16);
  EXPECT_EQ(stages[0].batch.global, 64);
  EXPECT_EQ(stages[1].batch.global, 48);
}

}  // namespace
}  // namespace convoy
