// Runs convoy in a directory of its own with a small data set in it, and looks at what it says and leaves.
#pragma once

#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include <sys/wait.h>

#include "launcher/exchange/tensor_files.h"
#include "tests/core/base/testing.h"
#include "tests/launcher/networks.h"

namespace convoy {

namespace fs = std::filesystem;

struct Result {
  int code = -1;
  std::string output, errors;
};

// The number in a file of MNIST's kind, with its first byte first.
inline std::string big_endian(uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xFF);
  return bytes;
}

// `text` with its only occurrence of `what` replaced.
inline std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_TRUE(at != std::string::npos && text.find(what, at + 1) == std::string::npos) << what;
  return text.replace(at, what.size(), by);
}

class ExchangeCommand : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(path("d"));
    std::string pixels, labels;
    for (int i = 0; i < kImages * kSide * kSide; ++i) pixels += static_cast<char>(i * i % 251);
    for (int i = 0; i < kImages; ++i) labels += static_cast<char>(i % 3);
    put("d/train-images-idx3-ubyte",
        big_endian(0x803) + big_endian(kImages) + big_endian(kSide) + big_endian(kSide) + pixels);
    put("d/train-labels-idx1-ubyte", big_endian(0x801) + big_endian(kImages) + labels);
  }

  std::string path(const std::string& name) const { return directory_ / name; }
  void put(const std::string& name, const std::string& text) const { put_file(path(name), text); }
  std::string get(const std::string& name) const { return get_file(path(name)); }
  bool exists(const std::string& name) const { return fs::exists(path(name)); }
  void save(const std::string& name, const Network& network) const {
    PosixFileSystem files;
    write_safetensors_model(files, path(name), network, {});
  }

  Result run(const std::string& command) const {
    const int status =
        std::system(("cd " + directory_.path() + " && { " + command + "; } >out 2>err </dev/null").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, get("out"), get("err")};
  }
  Result convoy(const std::string& arguments) const { return run(CONVOY_PROGRAM " " + arguments); }

  void expect_fine(const Result& result) const { EXPECT_EQ(result.code, 0) << result.output << result.errors; }
  // One error, which has all of `parts`.
  void expect_failure(const Result& result, ExitCode code, const std::vector<std::string>& parts) const {
    EXPECT_EQ(result.code, static_cast<int>(code)) << result.errors;
    static const std::regex error("(^|\n)error: ");
    EXPECT_EQ(std::distance(std::sregex_iterator(result.errors.begin(), result.errors.end(), error), {}), 1)
        << result.errors;
    for (const std::string& part : parts) EXPECT_NE(result.errors.find(part), std::string::npos) << result.errors;
  }
  // Nothing of this name, nor what is written before it.
  void expect_absent(const std::string& name) const {
    for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
      EXPECT_FALSE(entry.path().filename().string().starts_with(name)) << entry.path();
    }
  }

  static constexpr int kImages = 48, kSide = 8;
  TempDirectory directory_;
};

constexpr const char* kModel = R"(
name: tiny
classes: 3
layers:
  - conv2d: {name: a, filters: 4, kernel: 3}
  - batch_norm: {name: n}
  - relu
  - flatten
  - linear: {name: fc, units: 3}
)";

// ---- convert

TEST_F(ExchangeCommand, Rank0Converts) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  const Result result = run(CONVOY_MPIEXEC " -n 3 " CONVOY_PROGRAM " convert m.safetensors m.onnx");
  expect_fine(result);
  EXPECT_EQ(result.output.find("m.onnx: written"), result.output.rfind("m.onnx: written")) << result.output;
  for (const char* rank : {"[r1] ", "[r2] "}) {
    EXPECT_NE(result.errors.find(std::string(rank) + "warning: convert is work for one process: left to rank 0"),
              std::string::npos)
        << result.errors;
  }
  expect_fine(convoy("inspect m.onnx"));
  expect_absent("m.onnx.");
}

TEST_F(ExchangeCommand, AFileTooLargeForTheLimitIsAnError) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  expect_failure(run("ulimit -f 1; " CONVOY_PROGRAM " convert m.safetensors n.safetensors"), ExitCode::kIo,
                 {"n.safetensors", "File too large"});
  expect_absent("n.safetensors");
}

TEST(Signals, TakeWhatIsHalfWrittenWithThem) {
  const TempDirectory directory;
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto interrupted = [&] {
      end_without_remains();
      PosixFileSystem files;
      PendingFile pending(files, directory / "a");
      write_file(files, pending.temporary(), "half");
      std::raise(signal);
    };
    EXPECT_EXIT(interrupted(), testing::KilledBySignal(signal), "");
    EXPECT_TRUE(fs::is_empty(directory.path()));
  }
}

}  // namespace convoy
