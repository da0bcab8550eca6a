// The convoy program itself, alone and under mpirun: one message, and the exit code that docs/exit-codes.md promises.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <regex>
#include <string>

namespace {

struct Result {
  int code = -1;
  std::string output;  // standard output and error
};

Result run(const std::string& command) {
  Result result;
  std::FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return result;
  char text[4096];
  for (size_t got = 0; (got = std::fread(text, 1, sizeof text, pipe)) > 0;) result.output.append(text, got);
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

Result convoy(const std::string& arguments) { return run(CONVOY_PROGRAM " " + arguments); }
Result on_ranks(int ranks, const std::string& arguments) {
  return run(CONVOY_MPIEXEC " -n " + std::to_string(ranks) + " " CONVOY_PROGRAM " " + arguments);
}

// Messages of Convoy; MPI's launcher adds its own.
long errors(const Result& result) {
  static const std::regex line("(^|\n)(\\[r[0-9]+\\] )?error: ");
  return std::distance(std::sregex_iterator(result.output.begin(), result.output.end(), line), std::sregex_iterator());
}

TEST(ExitCode, UsageIs64) {
  for (const char* arguments :
       {"", "trian", "config shwo", "inspect", "config show a.yaml b.yaml", "inspect --jsn", "config schema x"}) {
    const Result result = convoy(arguments);
    EXPECT_EQ(result.code, 64) << arguments << "\n" << result.output;
    EXPECT_EQ(errors(result), 1) << arguments << "\n" << result.output;
  }
}

TEST(ExitCode, HelpAndVersionAreFine) {
  for (const char* arguments : {"--help", "train --help", "config schema", "--version"}) {
    EXPECT_EQ(convoy(arguments).code, 0) << arguments;
  }
}

TEST(ExitCode, AMissingFileIs66) { EXPECT_EQ(convoy("config show no-such-file.yaml").code, 66); }

TEST(ExitCode, WhatValidateFindsIs78) {
  const std::string synthetic = "config validate " CONVOY_SOURCE_DIR "/configs/resnet18-synthetic.yaml ";
  EXPECT_EQ(convoy(synthetic).code, 0);
  for (const char* wrong : {"data.train_limit=3", "\"optimizer.groups=[{match: '*.gama'}]\""}) {
    const Result result = convoy(synthetic + wrong);
    EXPECT_EQ(result.code, 78) << result.output;
    EXPECT_NE(result.output.find("error: "), std::string::npos) << result.output;
  }
}

TEST(ExitCode, OfSeveralRanksIsThatOfTheError) {
  for (int ranks : {2, 4}) {
    const Result usage = on_ranks(ranks, "train --batchsize=3");
    EXPECT_EQ(usage.code, 64) << usage.output;
    EXPECT_EQ(errors(usage), 1) << usage.output;
    const Result missing = on_ranks(ranks, "train no-such-file.yaml");
    EXPECT_EQ(missing.code, 66) << missing.output;
    EXPECT_EQ(errors(missing), 1) << missing.output;
  }
}

}  // namespace
