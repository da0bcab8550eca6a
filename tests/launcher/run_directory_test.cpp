#include "launcher/run_directory.h"

#include <functional>

#include <nlohmann/json.hpp>

#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class RunDirectoryTest : public ConfigTest {
 protected:
  ExitCode code_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      message_ = error.what();
      return error.code();
    }
    return ExitCode::kDone;
  }
  static std::string read(const std::string& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  PosixFileSystem files_;
  std::string message_;
};

TEST_F(RunDirectoryTest, HoldsConfigStatusAndLog) {
  RunDirectory directory(files_, "out", "a", false);
  directory.write_config("x: 1\n");
  directory.write_status("training", 7);
  directory.append_log(R"({"n": 1})");
  directory.append_log(R"({"n": 2})");
  EXPECT_EQ(directory.path(), "out/a");
  EXPECT_TRUE(fs::is_directory(directory.checkpoints()));
  EXPECT_EQ(read("out/a/config.yaml"), "x: 1\n");
  EXPECT_EQ(nlohmann::json::parse(read("out/a/status.json"))["steps_done"], 7);
  EXPECT_EQ(read("out/a/log.jsonl"), "{\"n\": 1}\n{\"n\": 2}\n");
}

TEST_F(RunDirectoryTest, ALaterLifeAppends) {
  RunDirectory(files_, "out", "a", false).append_log("1");
  RunDirectory(files_, "out", "a", false).append_log("2");
  EXPECT_EQ(read("out/a/log.jsonl"), "1\n2\n");
}

TEST_F(RunDirectoryTest, FreshMovesEarlierRunsAside) {
  for (const char* text : {"1", "2", "3"}) RunDirectory(files_, "out", "a", true).append_log(text);
  EXPECT_EQ(read("out/a/log.jsonl"), "3\n");
  EXPECT_EQ(read("out/a.1/log.jsonl"), "1\n");
  EXPECT_EQ(read("out/a.2/log.jsonl"), "2\n");
}

TEST_F(RunDirectoryTest, OneTrainerAtATime) {
  const RunDirectory first(files_, "out", "a", false);
  const auto open_again = [&] { RunDirectory(files_, "out", "a", false); };
  EXPECT_EQ(code_of(open_again), ExitCode::kCannotCreate);
  EXPECT_NE(message_.find("process " + std::to_string(getpid())), std::string::npos) << message_;
}

TEST_F(RunDirectoryTest, FreshDoesNotPullARunFromUnderItsTrainer) {
  const RunDirectory first(files_, "out", "a", false);
  EXPECT_EQ(code_of([&] { RunDirectory(files_, "out", "a", true); }), ExitCode::kCannotCreate);
  EXPECT_TRUE(fs::exists("out/a/lock"));
  EXPECT_FALSE(fs::exists("out/a.1"));
}

TEST_F(RunDirectoryTest, FinishedRunsAreLeftAlone) {
  RunDirectory directory(files_, "out", "a", false);
  directory.require_unfinished(10);
  directory.write_status("training", 10);
  directory.require_unfinished(10);
  directory.write_status("finished", 10);
  EXPECT_EQ(code_of([&] { directory.require_unfinished(10); }), ExitCode::kCannotCreate);
  directory.require_unfinished(11);
  EXPECT_TRUE(directory.finished());
  EXPECT_FALSE(nlohmann::json::parse(read("out/a/status.json")).contains("reason"));
  directory.write_status("finished", 9, "early_stopping");
  EXPECT_EQ(nlohmann::json::parse(read("out/a/status.json"))["reason"], "early_stopping");
  EXPECT_TRUE(directory.finished());
  directory.write_status("stopped", 9);
  EXPECT_FALSE(directory.finished());
}

TEST_F(RunDirectoryTest, ADamagedStatusIsAnUnfinishedRun) {
  const RunDirectory directory(files_, "out", "a", false);
  for (const char* text :
       {"", "{", "[]", "3", R"({"phase": 3})", R"({"phase": null, "steps_done": 10})", R"({"phase": "finished"})",
        R"({"phase": "finished", "steps_done": "10"})", R"({"phase": "finished", "steps_done": 1e300})",
        R"({"phase": "finished", "steps_done": {}})"}) {
    write("out/a/status.json", text);
    EXPECT_NO_THROW(directory.require_unfinished(10)) << text;
  }
  fs::remove("out/a/status.json");
  fs::create_directory("out/a/status.json");
  EXPECT_NO_THROW(directory.require_unfinished(10));
}

TEST_F(RunDirectoryTest, PlaceThatIsNoDirectoryIsNamed) {
  write("out", "a file");
  EXPECT_NE(code_of([&] { RunDirectory(files_, "out", "a", false); }), ExitCode::kDone);
  EXPECT_NE(message_.find("out"), std::string::npos) << message_;
}

}  // namespace
}  // namespace convoy
