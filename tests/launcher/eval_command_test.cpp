// `convoy eval` as a user runs it, alone and under mpirun.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/csv.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

constexpr const char* kExperiment = R"(
experiment: {name: x}
model: {layers: [flatten, {linear: {units: classes}}]}
data: {format: synthetic, shape: [6, 6, 1], classes: 7, train_size: 64, test_size: 203}
batch: {global: 16, micro: 4}
train: {steps: 1}
optimizer: {type: sgd, learning_rate: 0.001}
device: cpu
progress: none
threads: 1
)";

struct Result {
  int code = -1;
  std::string output, errors;
};

class EvalCommand : public testing::Test {
 protected:
  void SetUp() override { put_file(directory_ / "x.yaml", kExperiment); }

  Result run(const std::string& command) const {
    const int status = std::system(("cd " + directory_.path() + " && " + command + " >out 2>err </dev/null").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, get_file(directory_ / "out"), get_file(directory_ / "err")};
  }
  Result convoy(const std::string& arguments) const { return run(CONVOY_PROGRAM " " + arguments); }
  // Standard output of what ends well.
  std::string fine(const Result& result) const {
    EXPECT_EQ(result.code, 0) << result.output << result.errors;
    return result.output;
  }

  TempDirectory directory_;
};

TEST_F(EvalCommand, PrintsWhatIsTakenForWhat) {
  using nlohmann::json;
  fine(convoy("train x.yaml"));
  const json alone = json::parse(fine(convoy("eval x.yaml --json --confusion")));
  const json ranks = json::parse(fine(run(CONVOY_MPIEXEC " -n 3 " CONVOY_PROGRAM " eval x.yaml --json --confusion")));
  for (const char* key : {"correct", "correct_top5", "images", "classes", "confusion"}) {
    EXPECT_EQ(alone.at(key), ranks.at(key)) << key;
  }
  EXPECT_EQ(alone.at("images"), 203);
  EXPECT_FALSE(json::parse(fine(convoy("eval x.yaml --json"))).contains("confusion"));

  const std::string text = fine(convoy("eval x.yaml --confusion"));
  const size_t line = text.find('\n');
  EXPECT_NE(text.substr(0, line).find(", top-5 "), std::string::npos) << text;
  const std::string table = text.substr(line + 1);
  CsvReader csv(table, "out");
  std::vector<std::string> fields;
  ASSERT_TRUE(csv.next(fields));
  EXPECT_EQ(fields[3], "accuracy");
  for (size_t of = 0; of < 7; ++of) {
    ASSERT_TRUE(csv.next(fields));
    ASSERT_EQ(fields.size(), 11U);
    EXPECT_EQ(fields[1], alone["classes"][of]["images"].dump());
    EXPECT_EQ(fields[2], alone["confusion"][of][of].dump());
    for (size_t as = 0; as < 7; ++as) EXPECT_EQ(fields[4 + as], alone["confusion"][of][as].dump());
  }
  EXPECT_FALSE(csv.next(fields));
}

TEST_F(EvalCommand, ATableHasItsLimit) {
  const Result result = convoy("eval x.yaml --confusion data.classes=4097");
  EXPECT_EQ(result.code, static_cast<int>(ExitCode::kUsage));
  EXPECT_NE(result.errors.find("--confusion: expected at most 4096 classes, found 4097"), std::string::npos)
      << result.errors;
}

}  // namespace
}  // namespace convoy
