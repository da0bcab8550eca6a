// A working directory for each test, files in it, and the error that loading them gives.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launcher/config/experiment.h"

namespace convoy {

// The smallest valid experiment; keys one per line so that tests can point at them.
inline constexpr const char* kMinimal =
    "experiment: {name: tiny}\n"
    "model:\n"
    "  layers:\n"
    "    - flatten\n"
    "    - linear: {units: classes}\n"
    "data:\n"
    "  format: idx\n"
    "  classes: 10\n"
    "  train: {images: i.gz, labels: l.gz}\n"
    "batch:\n"
    "  global: 64\n"
    "train:\n"
    "  epochs: 2\n"
    "optimizer:\n"
    "  type: sgd\n"
    "  learning_rate: 0.1\n";

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "convoy-config-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    before_ = std::filesystem::current_path();
    std::filesystem::current_path(directory_);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(directory_);
  }

  static void write(const std::string& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

  static Experiment load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    write("x.yaml", text);
    return load_experiment("x.yaml", overrides);
  }

  // The message of the Error that loading `text` as x.yaml gives; "" when it loads.
  std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {},
                       ExitCode code = ExitCode::kConfig) {
    try {
      load(text, overrides);
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
      return error.what();
    }
    return "";
  }

  std::filesystem::path directory_;  // the working directory of the test

 private:
  std::filesystem::path before_;
};

// `text` with its only occurrence of `what` replaced.
inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  EXPECT_EQ(text.find(what, at + 1), std::string::npos) << what << " is not unique";
  return text.replace(at, what.size(), by);
}

}  // namespace convoy
