// Runs convoy as a user does, in a directory of its own with an experiment x.yaml in it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "tests/core/base/testing.h"

namespace convoy {

class ConvoyCommand : public testing::Test {
 protected:
  struct Result {
    int code = -1;
    std::string output, errors;
  };

  void SetUp() override {
    put_file(directory_ / "x.yaml", R"(
experiment: {name: x}
model: {layers: [flatten, {linear: {units: classes}}]}
data: {format: synthetic, shape: [6, 6, 1], classes: 7, train_size: 64, test_size: 203}
batch: {global: 16, micro: 4}
train: {steps: 1}
optimizer: {type: sgd, learning_rate: 0.001}
device: cpu
progress: none
threads: 1
)");
  }

  Result run(const std::string& command) const {
    const int status = std::system(("cd " + directory_.path() + " && " + command + " >out 2>err </dev/null").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, get_file(directory_ / "out"), get_file(directory_ / "err")};
  }
  Result convoy(const std::string& arguments) const { return run(CONVOY_PROGRAM " " + arguments); }
  Result convoy(int ranks, const std::string& arguments) const {
    return run(CONVOY_MPIEXEC " -n " + std::to_string(ranks) + " " CONVOY_PROGRAM " " + arguments);
  }
  // Standard output of what ends well.
  std::string fine(const Result& result) const {
    EXPECT_EQ(result.code, 0) << result.output << result.errors;
    return result.output;
  }

  TempDirectory directory_;
};

}  // namespace convoy
