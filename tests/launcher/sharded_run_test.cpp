// Whole runs with a sharded optimizer: what they leave is what runs without it do.
#include <filesystem>

#include "tests/core/base/testing.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class ShardedRunTest : public RunTest {};

// The files of the last checkpoint but the manifest, which has a hash of the settings, one behind the other.
std::string last_checkpoint() {
  std::string bytes;
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "state.safetensors"}) {
    bytes += get_file(std::string("runs/run/checkpoints/step-0000000020/") + file);
  }
  return bytes;
}

TEST_F(ShardedRunTest, GivesTheSameFiles) {
  const std::string none = "optimizer.momentum=null";
  for (const std::vector<std::string>& rule :
       {std::vector<std::string>{"checkpoint.best=loss", "train.eval_every_epochs=1", "train.ema_decay=0.9"},
        {none, "optimizer.type=adamw", "optimizer.learning_rate=0.01"},
        {none, "optimizer.type=rmsprop", "optimizer.learning_rate=0.001"}}) {
    for (const int ranks : {2, 3, 4}) {
      std::vector<std::string> settings = rule;
      settings.emplace_back("distributed.gradients=" + std::string(ranks == 4 ? "bf16" : "f32"));
      const Outcome whole = train(ranks, settings, true);
      const std::string files = last_checkpoint();
      settings.emplace_back("optimizer.sharded=true");
      EXPECT_EQ(train(ranks, settings, true).by_rank, whole.by_rank) << rule.back() << ", " << ranks << " ranks";
      EXPECT_TRUE(last_checkpoint() == files) << rule.back() << ", " << ranks << " ranks";
    }
  }
}

TEST_F(ShardedRunTest, ARankMayHaveNothingToUpdate) {  // of 128 elements
  const std::vector<std::string> settings = {"model.layers=[flatten, {linear: {units: 4, bias: false}}]",
                                             "data.shape=[4, 4, 2]",
                                             "data.mean=[0.5]",
                                             "batch={global: 28, micro: 2}",
                                             "data.test_size=28",
                                             "train.steps=3"};
  const Outcome whole = train(14, settings, true);
  std::vector<std::string> sharded = settings;
  sharded.emplace_back("optimizer.sharded=true");
  EXPECT_EQ(train(14, sharded, true).by_rank, whole.by_rank);
}

TEST_F(ShardedRunTest, GoesOnFromAWholeOneAndBack) {
  const std::string whole = "optimizer.sharded=false", sharded = "optimizer.sharded=true";
  const auto run = [&](int ranks, const std::string& how, bool fresh = false) {
    return train(ranks,
                 {"optimizer.type=adam", "optimizer.momentum=null", "optimizer.learning_rate=0.01",
                  "checkpoint.every_steps=5", "checkpoint.keep=9", how},
                 fresh);
  };
  const Outcome wanted = run(2, whole, true);
  const std::string files = last_checkpoint();
  const auto go_back = [] {
    for (const char* step : {"15", "20"}) fs::remove_all(std::string("runs/run/checkpoints/step-00000000") + step);
    fs::remove("runs/run/status.json");
  };
  go_back();
  EXPECT_EQ(run(2, sharded).by_rank, wanted.by_rank);
  EXPECT_TRUE(last_checkpoint() == files);
  run(2, sharded, true);
  go_back();
  EXPECT_EQ(run(2, whole).by_rank, wanted.by_rank);
  EXPECT_TRUE(last_checkpoint() == files);
  go_back();
  EXPECT_LE(worst_distance(run(3, sharded).by_rank[0], wanted.by_rank[0]), 1e-4);
  go_back();
  EXPECT_LE(worst_distance(run(1, sharded).by_rank[0], wanted.by_rank[0]), 1e-4);
}

}  // namespace
}  // namespace convoy
