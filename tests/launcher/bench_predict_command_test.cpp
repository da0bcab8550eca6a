// `convoy bench predict` as a user runs it; tests/launcher/predict has what it computes.
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "tests/launcher/convoy_command.h"

namespace convoy {
namespace {

using BenchPredict = ConvoyCommand;
using nlohmann::json;

TEST_F(BenchPredict, PrintsTwoTablesAndDraws) {
  const std::string text = fine(convoy("bench predict x.yaml --compute=h100-sxm --ranks=1,8,64 --out=p"));
  EXPECT_NE(text.find("x, predicted: 16 images a rank; h100-sxm, 16 bits; dgx-h100\n"), std::string::npos) << text;
  for (const char* row : {"| 1 | ", "| 8 | ", "| 64 | ", "| as it is | ", "| half the batch | ",
                          "| gradients travel as bf16 | ", "| one bucket after backward | "}) {
    EXPECT_NE(text.find(row), std::string::npos) << row << text;
  }
  EXPECT_NE(get_file(directory_ / "p/predict.svg").find("</svg>"), std::string::npos);
}

TEST_F(BenchPredict, StartsFromWhatOtherBenchesPrint) {
  put_file(directory_ / "step.json", fine(convoy("bench step x.yaml --repeat=2 --json")));
  put_file(directory_ / "sums.json", fine(convoy(2, "bench all-reduce x.yaml --repeat=1 --maxbytes=65536 --json")));
  const json it = json::parse(
      fine(convoy("bench predict x.yaml --compute=step.json --link=sums.json --ranks=1,2 --jitter=0 --json")));
  const double step = json::parse(get_file(directory_ / "step.json"))["seconds_per_step"];
  ASSERT_EQ(it["predictions"].size(), 2U);
  EXPECT_NEAR(it["predictions"][0]["seconds_per_step"], step, 0.02 * step);
  EXPECT_GT(it["predictions"][1]["seconds_per_step"], it["predictions"][0]["seconds_per_step"]);
  EXPECT_GT(it["predictions"][1]["busbw"], 1e3);
  EXPECT_EQ(it["variants"].count("twice the batch"), 1U);
  EXPECT_EQ(convoy("bench predict x.yaml --link=5,10 --ranks=4 --repeat=2").code, 0);  // measured there and then
  const json eight = json::parse(fine(convoy("bench predict x.yaml --compute=step.json --link=5,10 --ranks=8 --json")));
  EXPECT_EQ(eight["predictions"][0]["images_per_rank"], 16);
}

TEST_F(BenchPredict, SaysWhatItCannotDo) {
  const auto fails = [this](const std::string& flags, ExitCode code, const std::string& message) {
    const Result result = convoy("bench predict x.yaml " + flags);
    EXPECT_EQ(result.code, static_cast<int>(code)) << result.errors;
    EXPECT_NE(result.errors.find(message), std::string::npos) << result.errors;
  };
  put_file(directory_ / "bad.json", R"({"seconds_per_step": 1})");
  fails("", ExitCode::kUsage, "bench predict: expected --link, what joins the ranks");
  fails("--compute=h1000", ExitCode::kUsage, "--compute: expected h200-sxm, h100-sxm,");
  fails("--compute=bad.json --link=5,10", ExitCode::kBadData, "bad.json: not as `bench step");
  fails("--compute=h100-sxm --link=bad.json", ExitCode::kBadData, "bad.json: not as `bench all-reduce");
  fails("--compute=h100-sxm --link=quick", ExitCode::kUsage, "--link: expected dgx-h100");
  fails("--compute=h100-sxm --link=nvlink4 --ranks=9", ExitCode::kUsage, "--ranks: expected numbers in [1, 8], which");
  fails("--compute=h100-sxm --ranks=2,x", ExitCode::kUsage, "found 'x'");
  fails("--compute=h100-sxm --ranks=", ExitCode::kUsage, "--ranks: expected");
  fails("--compute=a100-sxm --algorithm=nvls", ExitCode::kUsage, "--algorithm=nvls: dgx-a100 has no switch that adds");
  fails("--compute=h100-sxm --algorithm=star", ExitCode::kUsage, "--algorithm: expected auto, ring, tree, nvls");
  fails("--compute=h100-sxm --jitter=-1", ExitCode::kUsage, "--jitter: expected percents in [0, 100], found '-1'");
  fails("--compute=h100-sxm --node=0", ExitCode::kUsage, "--node: expected an integer");
  fails("--compute=h100-sxm --mode=full", ExitCode::kUsage, "bench predict: has no --mode");
  const Result result = convoy(2, "bench predict x.yaml --compute=h100-sxm");
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_NE(result.errors.find("bench predict: expected one rank, found 2"), std::string::npos) << result.errors;
}

}  // namespace
}  // namespace convoy
