#include "core/train/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/hash.h"
#include "tests/core/base/testing.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFiles[] = {"manifest.json", "model.safetensors", "optimizer.safetensors", "state.safetensors"};

std::string step_path(const std::string& root, int step) {
  const std::string digits = std::to_string(step);
  return root + "/step-" + std::string(10 - digits.size(), '0') + digits;
}

class CheckpointTest : public testing::Test {
 protected:
  // Tensors whose values tell the step.
  std::string save(FileSystem& files, int step) {
    const std::vector<float> weights(16, static_cast<float>(step)), momentum(4, static_cast<float>(-step));
    const int64_t counter = step;
    CheckpointContents contents;
    contents.manifest.step = step;
    contents.manifest.global_batch = 96;
    contents.manifest.micro_batch = 8;
    contents.manifest.facts = {{"onednn", "2.6"}};
    contents.model = {{"conv.weight", StoredType::kF32, {4, 2, 2, 1}, std::as_bytes(std::span(weights))}};
    contents.optimizer = {{"conv.weight", StoredType::kF32, {4}, std::as_bytes(std::span(momentum))}};
    contents.state = {{"counter", StoredType::kI64, {}, std::as_bytes(std::span(&counter, 1))}};
    return save_checkpoint(files, root_, contents);
  }
  std::string save(int step) { return save(files_, step); }

  // Step of the newest valid one, which must be whole; -1 if there is none.
  int newest() {
    const std::optional<Checkpoint> found =
        find_newest_valid(files_, root_, [this](const std::string& warning) { warnings_.push_back(warning); });
    if (!found) return -1;
    const int64_t dims[] = {4, 2, 2, 1};
    float weight = 0;
    std::memcpy(&weight, found->model.get("conv.weight", StoredType::kF32, dims).bytes.data() + 60, sizeof(weight));
    EXPECT_EQ(weight, static_cast<float>(found->manifest.step));
    return static_cast<int>(found->manifest.step);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(root_)) found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }

  TempDirectory temp_;
  PosixFileSystem files_;
  const std::string root_ = temp_ / "runs/x/checkpoints";
  std::vector<std::string> warnings_;
};

TEST_F(CheckpointTest, TheNewestIsFound) {
  EXPECT_EQ(newest(), -1);
  EXPECT_EQ(save(9), step_path(root_, 9));
  save(100);
  save(20);
  EXPECT_EQ(newest(), 100);
  EXPECT_TRUE(warnings_.empty());
  EXPECT_EQ(get_file(root_ + "/LATEST"), "step-0000000020\n");
  EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000009", "step-0000000020", "step-0000000100"}));
  const Checkpoint loaded = load_checkpoint(step_path(root_, 20));
  EXPECT_EQ(loaded.manifest.facts.at("onednn"), "2.6");
  EXPECT_EQ(loaded.state.find("counter")->bytes.size(), 8u);
}

TEST_F(CheckpointTest, WhoOnlyReadsChangesNothing) {
  save(1);
  const std::string path = save(2);
  put_file(path + "/model.safetensors", "damaged");
  const std::vector<std::string> before = names();
  std::string warning;
  const auto newest = [&] { return find_newest_valid(root_, [&](const std::string& text) { warning = text; }); };
  EXPECT_EQ(newest()->manifest.step, 1);
  EXPECT_TRUE(warning.ends_with("; passed over")) << warning;
  EXPECT_EQ(names(), before);
  fs::remove_all(root_ + "/step-0000000001");
  expect_error(ExitCode::kBadData, {"found 1 damaged and no other"}, newest);
}

TEST_F(CheckpointTest, TheHintIsNeverTrusted) {
  save(5);
  put_file(root_ + "/LATEST", "../../../etc");
  EXPECT_EQ(newest(), 5);
}

// Killed at call k, or one failing call: afterwards the newest valid one is the old or the new, whole, and the next
// save cleans up and succeeds.
TEST_F(CheckpointTest, AFailureAtAnyCallLeavesOldOrNew) {
  for (const bool stay_down : {false, true}) {
    int calls = 0;
    for (int k = 0;; ++k) {
      fs::remove_all(root_);
      save(1);
      FailingFileSystem failing(k, stay_down);
      bool failed = false;
      try {
        save(failing, 2);
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.code(), ExitCode::kIo);
      }
      const int found = newest();
      EXPECT_TRUE(found == 2 || (failed && found == 1)) << "call " << k << ", found step " << found;
      if (!failed) break;
      calls = k + 1;
      if (!stay_down && found == 1) {
        EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000001"})) << "space given back, call " << k;
      }
      save(3);
      EXPECT_EQ(newest(), 3);
      for (const std::string& name : names()) EXPECT_FALSE(name.starts_with(".tmp")) << name;
    }
    EXPECT_GT(calls, 25);
  }
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(CheckpointTest, EveryByteOfEveryFileCounts) {
  save(1);
  const std::string path = save(2);
  for (const char* name : kFiles) {
    const std::string contents = get_file(path + "/" + name);
    for (size_t i = 0; i < contents.size(); ++i) {
      std::string damaged = contents;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << i % 8);
      put_file(path + "/" + name, damaged);
      expect_error(ExitCode::kBadData, {path + "/" + name}, [&] { load_checkpoint(path); });
    }
    put_file(path + "/" + name, contents);
  }
  EXPECT_EQ(load_checkpoint(path).manifest.step, 2);
}

TEST_F(CheckpointTest, EveryTruncationAndExtensionIsFound) {
  const std::string path = save(2);
  for (const char* name : kFiles) {
    const std::string contents = get_file(path + "/" + name);
    for (size_t n = 0; n < contents.size(); n += 1 + n / 40) {
      put_file(path + "/" + name, contents.substr(0, n));
      expect_error(ExitCode::kBadData, {path + "/" + name}, [&] { load_checkpoint(path); });
    }
    put_file(path + "/" + name, contents + '\0');
    expect_error(ExitCode::kBadData, {path + "/" + name}, [&] { load_checkpoint(path); });
    put_file(path + "/" + name, contents);
  }
}

TEST_F(CheckpointTest, ADamagedOneIsSetAsideAndTheOneBeforeIsTaken) {
  save(1);
  for (const int round : {1, 2}) {  // the same step may be damaged again
    put_file(save(2) + "/optimizer.safetensors", "");
    EXPECT_EQ(newest(), 1);
    ASSERT_EQ(warnings_.size(), static_cast<size_t>(round));
    EXPECT_NE(warnings_.back().find("step-0000000002/optimizer.safetensors: expected"), std::string::npos);
    EXPECT_NE(warnings_.back().find(".corrupt"), std::string::npos);
  }
  EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000001", "step-0000000002.2.corrupt",
                                               "step-0000000002.corrupt"}));
  EXPECT_EQ(newest(), 1);
}

TEST_F(CheckpointTest, OnlyDamagedOnesAreAnErrorAndStayOne) {
  fs::remove(save(1) + "/state.safetensors");
  expect_error(ExitCode::kBadData, {root_, "found 1 damaged", "--fresh"}, [&] { newest(); });
  EXPECT_NE(warnings_.at(0).find("state.safetensors"), std::string::npos);
  expect_error(ExitCode::kBadData, {root_, "found 1 damaged"}, [&] { newest(); });
}

TEST_F(CheckpointTest, OneFromTheFutureIsNeitherSkippedNorSetAside) {
  save(1);
  const std::string path = save(2);
  std::string text = get_file(path + "/manifest.json");
  text = text.substr(0, text.rfind("  \"xxh3_128\""));
  text.replace(text.find("\"format\": 1"), 11, "\"format\": 7");
  put_file(path + "/manifest.json", text + "  \"xxh3_128\": \"" + hash128_hex(text) + "\"\n}\n");
  expect_error(ExitCode::kBadData, {"format 1, found 7"}, [&] { newest(); });
  expect_error(ExitCode::kBadData, {"format 1, found 7"}, [&] { save(2); });
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(CheckpointTest, HostileEntriesAreRefused) {
  save(1);
  const std::string path = save(2);
  fs::rename(path + "/model.safetensors", temp_ / "model");
  ASSERT_EQ(symlink((temp_ / "model").c_str(), (path + "/model.safetensors").c_str()), 0);
  expect_error(ExitCode::kBadData, {"model.safetensors"}, [&] { load_checkpoint(path); });
  fs::remove(path + "/model.safetensors");
  ASSERT_EQ(mkfifo((path + "/model.safetensors").c_str(), 0600), 0);
  expect_error(ExitCode::kBadData, {"model.safetensors"}, [&] { load_checkpoint(path); });
  fs::rename(path, step_path(root_, 3));  // a manifest under another name, and a file in a directory's place
  ASSERT_EQ(symlink(step_path(root_, 1).c_str(), step_path(root_, 4).c_str()), 0);
  put_file(step_path(root_, 5), "");
  EXPECT_EQ(newest(), 1);
  EXPECT_EQ(warnings_.size(), 3u);
}

TEST_F(CheckpointTest, ManifestOfAnotherStepIsRefused) {
  fs::rename(save(2), step_path(root_, 3));
  expect_error(ExitCode::kBadData, {"step-0000000003", "found one of step-0000000002"},
               [&] { load_checkpoint(step_path(root_, 3)); });
}

TEST_F(CheckpointTest, NothingThereIsNoInput) {
  expect_error(ExitCode::kNoInput, {step_path(root_, 1)}, [&] { load_checkpoint(step_path(root_, 1)); });
}

TEST_F(CheckpointTest, SlashesAtTheEndDoNotCount) {
  const std::string path = save(8);
  for (const char* slashes : {"/", "//"}) EXPECT_EQ(load_checkpoint(path + slashes).path, path);
}

TEST_F(CheckpointTest, ADirectoryThatIsNoCheckpointSaysWhichIsMeant) {
  save(4);
  const std::string path = save(8);
  const std::string run = root_.substr(0, root_.rfind('/'));
  for (const std::string& above : {root_, root_ + "/", run, run + "/"}) {
    expect_error(ExitCode::kBadData, {"with step-0000000008, step-0000000004; did you mean " + path + "?"},
                 [&] { load_checkpoint(above); });
  }
  fs::rename(path, path + ".corrupt");
  expect_error(ExitCode::kBadData, {path + ".corrupt: expected a checkpoint, found one that was set aside as damaged"},
               [&] { load_checkpoint(path + ".corrupt/"); });
  fs::rename(path + ".corrupt", root_ + "/best");
  expect_error(ExitCode::kBadData, {root_ + "/best: expected a checkpoint, a directory called like step-0000001234"},
               [&] { load_checkpoint(root_ + "/best"); });
  put_file(root_ + "/best/checkpoints", "a file");
  expect_error(ExitCode::kBadData, {"found another name"}, [&] { load_checkpoint(root_ + "/best"); });
}

TEST_F(CheckpointTest, SavingAStepAgainKeepsAValidOneAndReplacesADamagedOne) {
  const std::string path = save(1);
  const auto written = fs::last_write_time(path + "/model.safetensors");
  save(1);
  EXPECT_EQ(fs::last_write_time(path + "/model.safetensors"), written);
  put_file(path + "/model.safetensors", "");
  save(1);
  EXPECT_EQ(load_checkpoint(path).manifest.step, 1);
  EXPECT_TRUE(fs::exists(path + ".corrupt"));
}

TEST_F(CheckpointTest, PruningKeepsTheNewest) {
  for (const int step : {1, 2, 3, 10}) save(step);
  prune_checkpoints(files_, root_, 2);
  EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000003", "step-0000000010"}));
}

TEST_F(CheckpointTest, OneStepMayBeRemovedOrStayAlone) {
  for (const int step : {1, 2, 3, 4}) save(step);
  remove_checkpoint(files_, root_, 2);
  remove_checkpoint(files_, root_, 2);
  EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000001", "step-0000000003", "step-0000000004"}));
  keep_only_checkpoint(files_, root_, 3);
  EXPECT_EQ(names(), (std::vector<std::string>{"LATEST", "step-0000000003"}));
}

TEST_F(CheckpointTest, ADirectoryOfTheBestStandsForIt) {
  save(5);
  const std::string best = temp_ / "runs/x/best";
  fs::rename(root_, best);
  EXPECT_EQ(load_checkpoint(best).path, best + "/step-0000000005");
  EXPECT_EQ(load_checkpoint(best + "/").manifest.step, 5);
  fs::remove_all(best + "/step-0000000005");
  expect_error(ExitCode::kBadData, {"found another name"}, [&] { load_checkpoint(best); });
}

TEST_F(CheckpointTest, PruningKilledAtAnyCallLeavesNoHalfCheckpoint) {
  for (int k = 0;; ++k) {
    fs::remove_all(root_);
    for (const int step : {1, 2, 3}) save(step);
    FailingFileSystem failing(k, true);
    bool failed = false;
    try {
      prune_checkpoints(failing, root_, 1);
    } catch (const Error&) {
      failed = true;
    }
    for (const std::string& name : names())
      if (name.starts_with("step-")) load_checkpoint(root_ + "/" + name);  // throws, were it half
    EXPECT_EQ(newest(), 3);
    if (!failed) break;
  }
}

}  // namespace
}  // namespace convoy
