#include "launcher/predict/prediction.h"

#include <algorithm>
#include <cmath>

#include "dist/data_parallel.h"
#include "launcher/datasets.h"
#include "launcher/memory_needs.h"
#include "launcher/predict/link_text.h"
#include "launcher/setup.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr const char* kSmall = R"(
experiment: {name: run}
model:
  name: small
  layers:
    - repeat: {times: 3, layers: [conv2d: {filters: 32, kernel: 3, padding: same, bias: false}, batch_norm, relu]}
    - flatten
    - linear: {units: 64}
    - linear: {units: classes}
data: {format: synthetic, shape: [16, 16, 3], classes: 10}
batch: {global: 32, micro: 16}
train: {steps: 1}
optimizer: {type: sgd, momentum: 0.9, learning_rate: 0.001}
device: cpu
distributed: {bucket_mib: 0.01}
)";

class Predicting : public ConfigTest {
 protected:
  static std::vector<PlannedExchange> exchanges(const RankPlan& plan) {
    std::vector<PlannedExchange> all;
    for (const PlannedStep& step : plan.steps) all.insert(all.end(), step.exchanges.begin(), step.exchanges.end());
    return all;
  }
  static int64_t count(const RankPlan& plan, Exchange kind) {
    return std::ranges::count(exchanges(plan), kind, &PlannedExchange::kind);
  }
  // Every row with arithmetic takes a second, and every other none.
  static ComputeTimes seconds_by_row() {
    return {"", 0, [](const PlannedStep& step, const RankPlan&) { return step.flops > 0 ? 1.0 : 0.0; }};
  }
  static double rows_with_arithmetic(const RankPlan& plan) {
    return static_cast<double>(std::ranges::count_if(plan.steps, [](const auto& it) { return it.flops > 0; }));
  }
};

TEST_F(Predicting, PlansTheBucketsOfTraining) {
  const Experiment experiment = load(kSmall);
  const auto host = make_solo_communicator();
  Backend backend = make_backend(experiment, *host, 1);
  const Shape sample = sample_shape(experiment.data);
  const Model model = build_model(experiment, sample, 16);
  const ReplicaOptions options =
      replica_options(experiment, stage_settings(experiment, sample, 1), model.graph, backend, 0, 1);
  const Blueprint blueprint(experiment, model, backend, options);
  const std::vector<GradientBucket> buckets =
      cut_buckets(blueprint.training().plan(), blueprint.parameters(), options.buckets);
  ASSERT_GE(buckets.size(), 3U);

  const RankPlan plan = plan_rank(experiment, 64);
  const std::vector<PlannedExchange> planned = exchanges(plan);
  ASSERT_EQ(planned.size(), buckets.size());  // of the second of two passes only
  for (size_t i = 0; i < buckets.size(); ++i) {
    EXPECT_EQ(planned[i].kind, Exchange::kAllReduce);
    EXPECT_EQ(planned[i].bytes, 4 * (buckets[i].end - buckets[i].begin));
  }
  const Plan network = blueprint.training().plan();
  for (const Step& step : network.steps()) {
    const auto found = std::ranges::find(plan.steps, step.name, &PlannedStep::name);
    ASSERT_NE(found, plan.steps.end()) << step.name;
    EXPECT_TRUE(found->of_network);
    EXPECT_EQ(found->flops, step.flops);
    EXPECT_EQ(found->bytes, step.bytes);
  }
  EXPECT_EQ(plan.images, 32);
  EXPECT_EQ(plan.micro_batch, 16);
  EXPECT_EQ(std::ranges::count(plan.steps, "conv2d_1 forward", &PlannedStep::name), 2);
  EXPECT_EQ(std::ranges::count(plan.steps, "optimizer", &PlannedStep::name), 1);
  EXPECT_TRUE(exchanges(plan_rank(experiment, 1)).empty());
}

TEST_F(Predicting, PlansWhatTheExperimentSays) {
  const auto bytes = [](const RankPlan& plan) {
    int64_t all = 0;
    for (const PlannedExchange& it : exchanges(plan)) all += it.bytes;
    return all;
  };
  const RankPlan plain = plan_rank(load(kSmall), 8);
  const RankPlan narrow = plan_rank(load(kSmall, {"distributed.gradients=bf16"}), 8);
  EXPECT_LT(bytes(narrow), 0.51 * static_cast<double>(bytes(plain)));
  EXPECT_EQ(exchanges(plan_rank(load(kSmall, {"distributed.overlap=false"}), 8)).size(), 1U);
  const RankPlan sharded = plan_rank(load(kSmall, {"optimizer.sharded=true"}), 8);
  EXPECT_EQ(count(sharded, Exchange::kReduceScatter), count(plain, Exchange::kAllReduce));
  EXPECT_EQ(count(sharded, Exchange::kAllGather), count(sharded, Exchange::kReduceScatter));
  const RankPlan gathers = plan_rank(load(kSmall, {"train.sync_bn=true"}), 8);
  EXPECT_EQ(count(gathers, Exchange::kAllGather), 2 * 2 * 3);  // there and back, two passes, three batch norms
}

TEST_F(Predicting, NeedsNoMemoryForLargeBatches) {
  const RankPlan plan = plan_rank(load(kSmall, {"batch.global=8192", "batch.micro=8192", "train.sync_bn=true"}), 4096);
  EXPECT_EQ(plan.images, 8192);  // 1.5 GB of activations, and as much for gradients
  EXPECT_NE(error_of(kSmall, {"batch.global=0"}), "");
  EXPECT_THROW(plan_rank(load(kSmall, {"batch.global=8192"}), 1 << 20), Error);  // a global batch of 2³³ rows
}

TEST_F(Predicting, OneRankOnlyComputes) {
  const RankPlan alone = plan_rank(load(kSmall), 1);
  Machine machine{.compute = seconds_by_row(), .link = parse_link("5,10", {})};
  machine.compute.overhead = 0.5;
  const Prediction it = predict(alone, alone, 1, machine);
  EXPECT_DOUBLE_EQ(it.seconds(), rows_with_arithmetic(alone) + 0.5);
  EXPECT_DOUBLE_EQ(it.efficiency(), 1);
  EXPECT_EQ(it.times.busy, 0);
  EXPECT_EQ(it.limit(), "compute");
  EXPECT_DOUBLE_EQ(it.images_per_second(), 32 / it.seconds());
}

TEST_F(Predicting, StragglersGrowWithTheRootOfTheLogarithm) {
  const RankPlan alone = plan_rank(load(kSmall), 1), plan = plan_rank(load(kSmall), 2);
  const Machine machine{.compute = seconds_by_row(), .link = parse_link("0,1000000", {}), .jitter = 0.1};
  const Prediction it = predict(plan, alone, 64, machine);
  EXPECT_NEAR(it.stragglers, 0.1 * rows_with_arithmetic(plan) * std::sqrt(2 * std::log(64)), 1e-12);
  EXPECT_EQ(it.limit(), "stragglers");
}

TEST_F(Predicting, MoreRanksAreLessEfficientAndBetterLinksMore) {
  const Experiment experiment = load(kSmall);
  const RankPlan alone = plan_rank(experiment, 1), plan = plan_rank(experiment, 2),
                 afterwards = plan_rank(load(kSmall, {"distributed.overlap=false"}), 2);
  const DeviceProfile device{.name = "x", .flops_per_second = 1e12, .bytes_per_second = 1e11, .overhead = 1e-4};
  const auto predicted = [&](const std::string& link, int ranks, const RankPlan& of) {
    return predict(of, alone, ranks, {.compute = roofline(device, false), .link = parse_link(link, {})});
  };
  double efficiency = 1, throughput = 0;
  for (int ranks = 2; ranks <= 4096; ranks *= 2) {
    const Prediction it = predicted("5,10", ranks, plan);
    EXPECT_LT(it.efficiency(), efficiency);
    EXPECT_GT(it.images_per_second(), throughput);
    EXPECT_LT(it.seconds(), predicted("5,1", ranks, plan).seconds());
    EXPECT_LT(it.seconds(), predicted("50,10", ranks, plan).seconds());
    EXPECT_LT(it.times.exposed, predicted("5,10", ranks, afterwards).times.exposed);
    efficiency = it.efficiency();
    throughput = it.images_per_second();
  }
  EXPECT_EQ(predicted("1000,1000", 64, plan).limit(), "latency");
  EXPECT_EQ(predicted("0,0.001", 64, plan).limit(), "bandwidth");
}

TEST_F(Predicting, ARooflineTakesTheLongerOfArithmeticAndTraffic) {
  const DeviceProfile device{.flops_per_second = 100, .efficiency = 0.5, .bytes_per_second = 10};
  const ComputeTimes wide = roofline(device, false), narrow = roofline(device, true);
  const auto seconds = [](const ComputeTimes& times, bool of_network, int64_t flops, int64_t bytes) {
    return times.seconds({"a forward", of_network, flops, bytes, {}, false}, {});
  };
  EXPECT_DOUBLE_EQ(seconds(narrow, true, 500, 20), 10);   // at 50 a second
  EXPECT_DOUBLE_EQ(seconds(narrow, true, 500, 400), 20);  // half of the bytes at 10 a second
  EXPECT_DOUBLE_EQ(seconds(narrow, false, 0, 400), 40);   // flat buffers are f32
  EXPECT_DOUBLE_EQ(seconds(wide, true, 500, 20), 20);
  EXPECT_DOUBLE_EQ(wide.seconds({"a.convert forward", true, 0, 400, {}, false}, {}), 0);
}

TEST_F(Predicting, TakesRowsAsTheyWereMeasured) {
  const Experiment experiment = load(kSmall);
  const RankPlan alone = plan_rank(experiment, 1);
  MeasuredStep step{.source = "m.json", .rows = {}, .seconds = 0, .waited = 3, .images = 32, .bytes_per_second = 1e9};
  for (const PlannedStep& it : alone.steps) {
    if (it.flops > 0 && std::ranges::count(step.rows, it.name, &StepRow::name) == 0)
      step.rows.push_back({it.name, "", 0.5, 2 * it.flops, 2 * it.bytes});  // of both passes
  }
  step.rows.push_back({"optimizer", "optimizer", 0.25, 0, 1000});
  step.rows.push_back({"conv2d_1.convert forward", "convert", 0.125, 0, 1000});  // there is none in this plan
  step.rows.push_back({"reduce bucket 0", "reduce", 8, 0, 1000});
  step.rows.push_back({"join", "join", 8});
  const double rows = 0.5 * (static_cast<double>(step.rows.size()) - 4) + 0.25 + 0.125;
  step.seconds = 2 * rows + step.waited;  // they are scaled to what is not waited for
  const ComputeTimes times = measured(step, alone);
  EXPECT_DOUBLE_EQ(times.overhead, 0.25);
  const auto seconds = [&](const std::string& name, const RankPlan& plan) {
    return times.seconds(*std::ranges::find(plan.steps, name, &PlannedStep::name), plan);
  };
  EXPECT_DOUBLE_EQ(seconds("conv2d_1 forward", alone), 0.5);  // 1 s by two passes
  EXPECT_DOUBLE_EQ(seconds("conv2d_1 forward", plan_rank(load(kSmall, {"batch.micro=32"}), 1)), 1);
  step.rows.erase(step.rows.begin());
  try {
    measured(step, alone);
    FAIL() << "a row with arithmetic is missing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_STREQ(error.what(), "m.json: has no row 'conv2d_1 forward': another network was measured");
  }
}

TEST(DeviceProfiles, AreKnownByName) {
  ASSERT_NE(find_device("h100-sxm"), nullptr);
  EXPECT_EQ(find_device("h100"), nullptr);
  const DeviceProfile &h100 = *find_device("h100-sxm"), &h200 = *find_device("h200-sxm");
  EXPECT_EQ(h100.efficiency, h200.efficiency);  // constants are of a generation
  EXPECT_EQ(h100.overhead, h200.overhead);
  EXPECT_LT(h100.bytes_per_second, h200.bytes_per_second);
}

}  // namespace
}  // namespace convoy
