// `convoy bench` as a user runs it: what it says, not how fast it is.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "tests/launcher/convoy_command.h"

namespace convoy {
namespace {

using BenchCommand = ConvoyCommand;
using nlohmann::json;

std::string replace_all(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

TEST_F(BenchCommand, StepHoldsEveryRowAgainstThePeak) {
  const json step = json::parse(fine(convoy("bench step x.yaml --repeat=2 --json")));
  EXPECT_GT(step["peak"]["flops_per_second"], 1e6);
  EXPECT_GT(step["peak"]["bytes_per_second"], 1e6);
  double seconds = 0;
  for (const auto& row : step["rows"]) seconds += row["seconds"].get<double>();
  double by_kind = 0;
  for (const auto& [kind, of_kind] : step["seconds_by_kind"].items()) by_kind += of_kind.get<double>();
  EXPECT_NEAR(seconds, by_kind, 1e-6 * seconds);
  // Four micro-batches of 4 rows: two flops a multiply-add of 36 by 7, in each.
  const auto forward =
      std::ranges::find_if(step["rows"], [](const json& row) { return row["kind"] == "linear forward"; });
  ASSERT_NE(forward, step["rows"].end()) << step;
  EXPECT_EQ((*forward)["flops"], 4 * 4 * 2 * 36 * 7);
}

TEST_F(BenchCommand, OverlapComparesWithRanksThatAreAlone) {
  const json overlap = json::parse(fine(convoy(2, "bench overlap x.yaml --repeat=2 --json")));
  EXPECT_EQ(overlap["ranks"], 2);
  EXPECT_DOUBLE_EQ(overlap["efficiency"].get<double>(),
                   overlap["seconds_alone"].get<double>() / overlap["seconds_per_step"].get<double>());
  const std::string text = fine(convoy(3, "bench overlap x.yaml --repeat=2"));  // 2, 1 and 1 micro-batches
  EXPECT_NE(text.find("| each rank alone, nothing communicated |"), std::string::npos) << text;
  EXPECT_NE(text.find("| reduce bucket 0 |"), std::string::npos) << text;
}

TEST_F(BenchCommand, AllReduceIsExactInEverySize) {
  for (const char* type : {"f32", "bf16"}) {
    const std::string gradients = std::string(" distributed.gradients=") + type;
    const json sums =
        json::parse(fine(convoy(3, "bench all-reduce x.yaml --repeat=1 --maxbytes=1000000 --json" + gradients)));
    EXPECT_EQ(sums["dtype"], type);
    int64_t bytes = 4096;
    for (const auto& size : sums["sizes"]) {
      EXPECT_EQ(size["bytes"], bytes);
      EXPECT_EQ(size["wrong"], 0) << size;
      EXPECT_DOUBLE_EQ(size["busbw"].get<double>(), size["algbw"].get<double>() * 4 / 3);
      EXPECT_LE(size["seconds_fastest"], size["seconds"]);
      EXPECT_LE(size["seconds"], size["seconds_slowest"]);
      EXPECT_GT(size["seconds_beside"], 0);
      EXPECT_GE(size["share_beside"], 0);
      EXPECT_LE(size["share_beside"], 1);
      bytes *= 2;
    }
    EXPECT_EQ(bytes, 1 << 20);
  }
  const std::string text = fine(convoy(2, "bench all-reduce x.yaml --repeat=1 --minbytes=400 --maxbytes=400"));
  EXPECT_NE(text.find("| 400 | 100 |"), std::string::npos) << text;
  EXPECT_EQ(convoy(2, "bench all-reduce x.yaml --minbytes=6").code, static_cast<int>(ExitCode::kUsage));
}

TEST_F(BenchCommand, ScalingMeasuresPartsOfTheJob) {
  const std::string command = "bench scaling x.yaml --repeat=1 --ranks=3,1 --mode=full,loader --scaling=weak --out=s";
  EXPECT_NE(fine(convoy(3, command)).find("| weak | full | 3 | 48 |"), std::string::npos);
  const json results = json::parse(get_file(directory_ / "s/results.json"));
  EXPECT_EQ(results["format"], "convoy.scaling/1");
  ASSERT_EQ(results["points"].size(), 4U);
  for (const auto& point : results["points"]) EXPECT_EQ(point["rounds"].size(), 5U) << point;
  EXPECT_NE(get_file(directory_ / "s/report.md").find("- communicator of 1 rank(s): solo"), std::string::npos);
  EXPECT_EQ(convoy("bench diff s s/results.json").code, 0);
  put_file(directory_ / "fast.json", replace_all(results.dump(), "\"seconds\":", "\"seconds\":0.0000001,\"was\":"));
  const Result slower = convoy("bench diff fast.json s");
  EXPECT_EQ(slower.code, 1) << slower.errors;
  EXPECT_NE(slower.output.find("| slower |"), std::string::npos) << slower.output;
  EXPECT_EQ(convoy("bench diff s fast.json").code, 0);
}

TEST_F(BenchCommand, ScalingSaysWhatItCannotDo) {
  const auto fails = [this](const std::string& more, ExitCode code, const std::string& message) {
    const Result result = convoy(2, "bench scaling x.yaml --repeat=1 " + more);
    EXPECT_EQ(result.code, static_cast<int>(code)) << result.errors;
    EXPECT_NE(result.errors.find(message), std::string::npos) << result.errors;
  };
  fails("--ranks=3", ExitCode::kUsage, "--ranks: expected numbers in [1, 2], the ranks of this job, found '3'");
  fails("--mode=fast", ExitCode::kUsage, "--mode: expected some of synthetic, loader, full, found 'fast'");
  fails("batch.global=3 batch.micro=1 --scaling=strong", ExitCode::kConfig,
        "strong scaling: the batch of 3 rows is not a multiple of 2 ranks");
  fails("data.train_size=20 --mode=full --scaling=weak", ExitCode::kConfig,
        "weak scaling, full, 2 ranks: a global batch has 32 samples, the data set only 20");
  EXPECT_EQ(convoy(3, "bench scaling x.yaml --repeat=1 --mode=synthetic").code, 0);  // without strong scaling over 3
  put_file(directory_ / "bad.json", "{}");
  const Result result = convoy("bench diff bad.json bad.json");
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kBadData));
  EXPECT_NE(result.errors.find("bad.json: not as `convoy bench scaling` writes it"), std::string::npos)
      << result.errors;
}

TEST_F(BenchCommand, DiffRefusesWhatIsNoResult) {
  const std::string good = R"({"format": "convoy.scaling/1", "network": "n", "points": [
      {"scaling": "weak", "mode": "full", "ranks": 2, "global_batch": 8, "rounds": [{"seconds": 1}]}]})";
  const auto message = [&](const std::string& what, const std::string& by) {
    put_file(directory_ / "good.json", good);
    put_file(directory_ / "bad.json", replace_all(good, what, by));
    const Result result = convoy("bench diff good.json bad.json");
    EXPECT_NE(result.code, 0) << by << result.output;
    return result.errors.substr(result.errors.find("error: "));
  };
  EXPECT_EQ(message("\"n\"", "\"m\""), "error: bench diff: 'n' and 'm' are two networks\n");
  EXPECT_EQ(message("\"weak\"", "\"\\u001b[31m\""), "error: bad.json: scaling: unknown '?[31m'\n");
  EXPECT_EQ(message("\"ranks\": 2", "\"ranks\": 1.7"), "error: bad.json: ranks: no count\n");
  EXPECT_EQ(message("\"seconds\": 1", "\"seconds\": 1e308"),
            "error: bad.json: expected rounds of more than 0 seconds\n");
  EXPECT_EQ(message("\"seconds\": 1", "\"second\": 1"), "error: bad.json: not as `convoy bench scaling` writes it\n");
}

TEST_F(BenchCommand, WhatNeedsSeveralRanksSaysSo) {
  for (const std::string what : {"overlap", "all-reduce"}) {
    const Result result = convoy("bench " + what + " x.yaml");
    EXPECT_EQ(result.code, static_cast<int>(ExitCode::kUsage));
    EXPECT_NE(result.errors.find("bench " + what + ": expected several ranks, found one"), std::string::npos)
        << result.errors;
  }
  EXPECT_NE(convoy("bench step x.yaml --ranks=2").errors.find("bench step: has no --ranks"), std::string::npos);
  EXPECT_NE(convoy("bench diff a b --json").errors.find("bench diff: has no --json"), std::string::npos);
  const Result result = convoy("bench reduce x.yaml");
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_NE(result.errors.find(
                "expected step, layers, loader, overlap, all-reduce, scaling, predict or diff, found 'reduce'"),
            std::string::npos)
      << result.errors;
}

}  // namespace
}  // namespace convoy
