#include "launcher/memory_needs.h"

#include <algorithm>
#include <cstdlib>

#include "core/train/weight_average.h"
#include "dist/thread_group.h"
#include "launcher/config/parts.h"
#include "launcher/datasets.h"
#include "launcher/setup.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr const char* kDeep = R"(
experiment: {name: run}
model:
  name: deep
  layers:
    - repeat:
        times: 12
        layers: [conv2d: {filters: 8, kernel: 3, padding: same, bias: false}, batch_norm, relu]
    - global_average
    - flatten
    - linear: {units: classes}
data: {format: synthetic, shape: [32, 32, 3], classes: 10}
batch: {global: 32, micro: 16}
train: {steps: 1}
optimizer: {type: adam, learning_rate: 0.001}
)";

// Counts what is allocated.
class Counting : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    taken += bytes;
    void* data = std::aligned_alloc(256, static_cast<size_t>((bytes + 255) / 256 * 256));
    if (data == nullptr) throw Error(ExitCode::kOutOfMemory, "for a test");
    return data;
  }
  void deallocate(void* data, int64_t) noexcept override { std::free(data); }
  int64_t taken = 0;
};

struct Rank {
  explicit Rank(Experiment given, int world = 1)
      : experiment(std::move(given)),
        backend(make_backend(experiment, *host, 1)),
        batch(resolve(experiment.batch, 1)),
        model(build_model(experiment, sample_shape(experiment.data), batch.micro)),
        options(replica_options(experiment, stage_settings(experiment, sample_shape(experiment.data), 1), model.graph,
                                backend, 0, world)) {}

  MemoryNeeds needs() { return Blueprint(experiment, model, backend, options).needs(); }
  void fit() { fit_into_memory(experiment, model, backend, options); }

  std::unique_ptr<Communicator> host = make_solo_communicator();
  Experiment experiment;
  Backend backend;
  ResolvedBatch batch;
  Model model;
  ReplicaOptions options;
};

std::string limit(int64_t bytes) {
  char text[64];
  std::snprintf(text, sizeof text, "train.memory_mib=%.20f", static_cast<double>(bytes) / (1 << 20));  // exactly
  return text;
}

std::string refusal(Rank& rank) {
  try {
    rank.fit();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kOutOfMemory);
    return error.what();
  }
  return "";
}

class MemoryNeedsTest : public ConfigTest {
 protected:
  Rank rank(const std::vector<std::string>& overrides = {}, int world = 1) {
    return Rank(load(kDeep, overrides), world);
  }
};

TEST_F(MemoryNeedsTest, AreWhatARankAllocates) {
  Rank one = rank({"train.ema_decay=0.9"});
  const MemoryNeeds needs = one.needs();
  Counting memory, other;
  Parameters parameters(one.model.graph, memory, memory);
  EXPECT_EQ(memory.taken, needs.parameters + needs.gradients + int64_t{sizeof(LossScale)});
  parameters.accumulated();
  EXPECT_EQ(memory.taken, needs.parameters + needs.gradients + needs.accumulated + int64_t{sizeof(LossScale)});
  const auto optimizer = make_optimizer(one.experiment.optimizer, one.backend, one.model.graph, parameters, other);
  EXPECT_EQ(other.taken, needs.optimizer + needs.scratch);
  const WeightAverage average(*one.backend.ops, other, parameters, 0.9);
  EXPECT_EQ(other.taken, needs.optimizer + needs.scratch + needs.average);
  const Replica replica(build_model(one.experiment, sample_shape(one.experiment.data), one.batch.micro), one.backend,
                        one.options);
  EXPECT_EQ(needs.activations,
            std::max(replica.training_memory().arena_bytes, replica.evaluation_memory().arena_bytes));
}

TEST_F(MemoryNeedsTest, RanksShareAShardedOptimizer) {
  const Experiment experiment = load(kDeep, {"optimizer.sharded=true"});
  const int64_t alone = rank({"optimizer.sharded=true"}).needs().optimizer;
  run_thread_group(2, [&](Communicator& communicator) {
    Backend backend = make_backend(experiment, communicator, 1);
    const ResolvedBatch batch = resolve(experiment.batch, 2);
    const Model model = build_model(experiment, sample_shape(experiment.data), batch.micro);
    const ReplicaOptions options =
        replica_options(experiment, {{.batch = batch, .sample = sample_shape(experiment.data)}}, model.graph, backend,
                        communicator.rank(), 2);
    EXPECT_EQ(Blueprint(experiment, model, backend, options).needs().optimizer, alone / 2);
  });
}

TEST_F(MemoryNeedsTest, OnePassAccumulatesNothing) {
  EXPECT_GT(rank().needs().accumulated, 0);
  EXPECT_EQ(rank({}, 2).needs().accumulated, 0);
}

TEST_F(MemoryNeedsTest, RecomputesOnlyWhereNothingElseFits) {
  const MemoryNeeds most = rank().needs(), least = rank({"train.recompute=blocks"}).needs();
  EXPECT_LT(least.activations, most.activations / 2);
  EXPECT_EQ(least.total() - least.activations, most.total() - most.activations);
  const auto recomputes = [&](int64_t bytes) {
    Rank fitted = rank({"train.recompute=auto", limit(bytes)});
    fitted.fit();
    return fitted.options.recompute;
  };
  EXPECT_FALSE(recomputes(most.total()));
  EXPECT_TRUE(recomputes(most.total() - 1));
  EXPECT_TRUE(recomputes(least.total()));

  Rank too_small = rank({"train.recompute=auto", limit(least.total() - 1)});
  const std::string text = refusal(too_small);
  EXPECT_NE(text.find("train.memory_mib: a rank needs " + mib_text(most.total())), std::string::npos) << text;
  EXPECT_NE(text.find(mib_text(most.activations) + " of activations, "), std::string::npos) << text;
  EXPECT_NE(text.find("; " + mib_text(least.total()) + " with train.recompute: blocks"), std::string::npos) << text;
}

TEST_F(MemoryNeedsTest, HonoursTheLimitWithoutAuto) {
  const int64_t most = rank().needs().total();
  Rank fits = rank({limit(most)}), none = rank({limit(most - 1)});
  Rank blocks = rank({"train.recompute=blocks", "train.memory_mib=0.25"});
  EXPECT_EQ(refusal(fits), "");
  EXPECT_FALSE(fits.options.recompute);
  EXPECT_NE(refusal(none).find("with train.recompute: blocks"), std::string::npos);
  EXPECT_EQ(refusal(blocks).find("with train.recompute: blocks"), std::string::npos);
  EXPECT_TRUE(blocks.options.recompute);
}

}  // namespace
}  // namespace convoy
