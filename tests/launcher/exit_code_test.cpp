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
  for (const char* arguments : {"", "trian", "config shwo", "inspect", "config show a.yaml b.yaml", "inspect --jsn",
                                "config schema x", "data", "data pack a"}) {
    const Result result = convoy(arguments);
    EXPECT_EQ(result.code, 64) << arguments << "\n" << result.output;
    EXPECT_EQ(errors(result), 1) << arguments << "\n" << result.output;
  }
}

TEST(ExitCode, HelpAndVersionAreFine) {
  for (const char* arguments : {"--help", "train --help", "data --help", "config schema", "--version"}) {
    EXPECT_EQ(convoy(arguments).code, 0) << arguments;
  }
}

TEST(ExitCode, AMissingFileIs66) {
  EXPECT_EQ(convoy("config show no-such-file.yaml").code, 66);
  EXPECT_EQ(convoy("data verify no-such-directory").code, 66);
  const Result absent = run("MNIST=/none/mnist " CONVOY_PROGRAM " train " CONVOY_SOURCE_DIR "/configs/article.yaml");
  EXPECT_EQ(absent.code, 66) << absent.output;
  EXPECT_NE(absent.output.find("; convoy data fetch mnist --to=/none/mnist brings it"), std::string::npos)
      << absent.output;
}

TEST(ExitCode, WhatValidateFindsIs78) {
  const std::string synthetic = "config validate " CONVOY_SOURCE_DIR "/configs/resnet18-synthetic.yaml ";
  EXPECT_EQ(convoy(synthetic).code, 0);
  for (const char* wrong : {"data.train_limit=3", "\"optimizer.groups=[{match: '*.gama'}]\""}) {
    const Result result = convoy(synthetic + wrong);
    EXPECT_EQ(result.code, 78) << result.output;
    EXPECT_NE(result.output.find("error: "), std::string::npos) << result.output;
  }
}

// What a machine without a GPU says where one is asked for: one line that names what is missing.
TEST(ExitCode, WithoutCudaIs69) {
  const std::string train = " train " CONVOY_SOURCE_DIR "/configs/resnet18-synthetic.yaml device=cuda";
  const struct {
    const char *library, *message;
  } cases[] = {
      {"/no/libconvoy_cuda.so", "error: device: cuda: /no/libconvoy_cuda.so not found"},
      {CONVOY_CUDA_WITHOUT_CUDNN, "needs libcudnn.so.0, which is not found"},
      {CONVOY_NOT_CUDA, "not of this build of convoy"},
  };
  for (const auto& [library, message] : cases) {
    const std::string with = std::string("CONVOY_CUDA_LIBRARY=") + library + " ";
    for (const std::string& launcher : {std::string(), std::string(CONVOY_MPIEXEC " -n 2 ")}) {
      const Result result = run(with + launcher + CONVOY_PROGRAM + train);
      EXPECT_EQ(result.code, 69) << result.output;
      EXPECT_EQ(errors(result), 1) << result.output;
      EXPECT_NE(result.output.find(message), std::string::npos) << result.output;
    }
    EXPECT_EQ(run(with + CONVOY_PROGRAM " --version").code, 0);
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
