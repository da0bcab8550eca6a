#include "launcher/config/compose.h"

#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

class ComposeTest : public ConfigTest {
 protected:
  static std::string composed(const std::string& text, const std::vector<std::string>& overrides = {}) {
    write("x.yaml", text);
    return to_yaml(compose("x.yaml", overrides));
  }

  static std::string failure(const std::string& text, const std::vector<std::string>& overrides = {}) {
    try {
      return "composed: " + composed(text, overrides);
    } catch (const Error& error) {
      return error.what();
    }
  }
};

TEST_F(ComposeTest, LaterWinsMapsMergeListsReplace) {
  write("a.yaml", "s: {p: 1, q: 2, r: [1, 2, 3]}\nt: a\n");
  write("b.yaml", "s: {q: 3}\nu: b\n");
  EXPECT_EQ(composed("base: [a.yaml, b.yaml]\ns: {r: [9]}\nt: x\n"), "s:\n  p: 1\n  q: 3\n  r: [9]\nt: x\nu: b\n");
  EXPECT_EQ(composed("base: a.yaml\ns: {p: null}\n", {"s.q=7", "v.w=[1, {x: y}]"}),
            "s:\n  q: 7\n  r: [1, 2, 3]\nt: a\nv:\n  w:\n    - 1\n    - x: y\n");
}

TEST_F(ComposeTest, BaseIsRelativeToTheFileThatNamesIt) {
  std::filesystem::create_directories("d/e");
  write("d/one.yaml", "base: e/two.yaml\n");
  write("d/e/two.yaml", "base: ../three.yaml\na: 1\n");
  write("d/three.yaml", "b: 2\n");
  EXPECT_EQ(composed("base: d/one.yaml\n"), "b: 2\na: 1\n");
}

TEST_F(ComposeTest, NamesCyclesMissingFilesAndFloods) {
  write("a.yaml", "base: x.yaml\n");
  EXPECT_EQ(failure("base: a.yaml\n"),
            "a.yaml:1:7: base: a file cannot inherit from itself: x.yaml -> a.yaml -> x.yaml");
  EXPECT_EQ(failure("base: x.yaml\n"), "x.yaml:1:7: base: a file cannot inherit from itself: x.yaml -> x.yaml");
  EXPECT_EQ(failure("base: [none.yaml]\n"), "x.yaml:1:8: cannot read 'none.yaml': No such file or directory");
  EXPECT_EQ(failure("base: .\n"), "x.yaml:1:7: cannot read '.': is a directory");
  EXPECT_EQ(failure("base: {a: b}\n"), "x.yaml:1:7: base: expected text, found a map");
  std::string many = "base: [";
  for (int i = 0; i < 100; ++i) many += "leaf.yaml, ";
  write("leaf.yaml", "a: 1\n");
  EXPECT_EQ(failure(many + "leaf.yaml]\n"), "x.yaml:1:1097: base: more than 100 files");
}

TEST_F(ComposeTest, TheLaterOfTwoExclusiveKeysRemovesTheOther) {
  write("a.yaml", "train: {epochs: 5, precision: f32}\nbatch: {global: 64, micro: 8}\nmodel: {config: m.yaml}\n");
  EXPECT_EQ(composed("base: a.yaml\ntrain: {steps: 9}\nbatch: {per_rank: 4}\nmodel: {layers: [relu]}\n"),
            "train:\n  precision: f32\n  steps: 9\nbatch:\n  per_rank: 4\nmodel:\n  layers: [relu]\n");
  EXPECT_EQ(composed("base: a.yaml\n", {"train.steps=null"}),
            composed("base: a.yaml\ntrain: {steps: null}\n"));  // removing nothing removes nothing else
  EXPECT_EQ(composed("train: {epochs: 5, steps: 6}\n"),
            "train:\n  epochs: 5\n  steps: 6\n");  // one file: an error later
}

TEST_F(ComposeTest, OverridesPointAtTheCommandLine) {
  EXPECT_EQ(error_of(kMinimal, {"train.epoch=3"}),
            "command line: train.epoch=3: train.epoch: unknown key, did you mean 'epochs'?");
  EXPECT_EQ(error_of(kMinimal, {"train.epochs=x"}),
            "command line: train.epochs=x: train.epochs: expected an integer >= 1, found 'x'");
  EXPECT_EQ(error_of(kMinimal, {"trian="}), "command line: trian=: trian: unknown key, did you mean 'train'?");
  EXPECT_EQ(error_of(kMinimal, {"train.epochs.x=1"}),
            "command line: train.epochs.x=1: train.epochs: expected an integer >= 1, found a map");
  EXPECT_EQ(error_of(kMinimal, {"optimizer.learning_rate=null"}),
            "x.yaml:15:3: optimizer.learning_rate: required key is missing");
  EXPECT_EQ(error_of(kMinimal, {"data.mean=[1"}),
            "command line: data.mean=[1: expected a key, found a list, a map or nothing; is a bracket left open?");
  EXPECT_EQ(error_of(kMinimal, {"data={a: 1, a: 2}"}), "command line: data={a: 1, a: 2}: a: duplicate key");
  EXPECT_EQ(error_of(kMinimal, {"model.layers.1.linear.units=3"}),
            "command line: model.layers.1.linear.units=3: model.layers: expected a list, which is replaced as a whole "
            "(model.layers=[...]), found a map");
  EXPECT_EQ(error_of(kMinimal, {"base=y.yaml"}), "command line: base=y.yaml: base: only in a file");
  EXPECT_EQ(load(kMinimal, {"train.epochs=3", "train.epochs=4"}).train.epochs, 4);
  for (const char* bad : {"train.epochs", "=3", ".=3", "train..epochs=3", "train.=3", "a.a.a.a.a.a.a.a.a.a=1"}) {
    EXPECT_EQ(error_of(kMinimal, {bad}, ExitCode::kUsage),
              std::string("command line: expected key=value like train.epochs=3, found '") + bad + "'");
  }
}

TEST_F(ComposeTest, InterpolatesTheEnvironment) {
  setenv("CONVOY_TEST_A", "x: y", 1);
  setenv("CONVOY_TEST_N", "7", 1);
  unsetenv("CONVOY_TEST_NONE");
  EXPECT_EQ(composed("a: p/${env:CONVOY_TEST_A}/q\n"), "a: \"p/x: y/q\"\n");
  EXPECT_EQ(composed("a: ${env:CONVOY_TEST_N:9}${env:CONVOY_TEST_NONE:8}\n"), "a: 78\n");
  EXPECT_EQ(composed("a: ${env:CONVOY_TEST_NONE:}b\n"), "a: b\n");
  EXPECT_EQ(composed("a: $${env:X} $5\n"), "a: \"${env:X} $5\"\n");
  EXPECT_EQ(failure("a: ${env:CONVOY_TEST_NONE}\n"), "x.yaml:1:4: a: environment variable CONVOY_TEST_NONE is not set");
  EXPECT_EQ(failure("a: {b: [1, '${env:CONVOY_TEST_NONE}']}\n"),
            "x.yaml:1:12: a.b[1]: environment variable CONVOY_TEST_NONE is not set");
  EXPECT_EQ(failure("a: ${HOME}\n"), "x.yaml:1:4: a: expected ${env:NAME}, found ${HOME}");
  EXPECT_EQ(failure("a: b${env:HOME\n"), "x.yaml:1:4: a: expected } after ${");
  setenv("CONVOY_TEST_A", "\x01", 1);
  EXPECT_EQ(failure("a: ${env:CONVOY_TEST_A}\n"),
            "x.yaml:1:4: a: environment variable CONVOY_TEST_A is not UTF-8 text");
}

TEST_F(ComposeTest, PathsAreBesideTheFileOrInTheWorkingDirectory) {
  std::filesystem::create_directory("d");
  write("d/beside", "");
  write("both", "");
  write("d/both", "");
  const Mark in_file{"d/x.yaml", 1, 1}, typed{"command line: a=b", 0, 0};
  EXPECT_EQ(resolve_path("beside", in_file), (directory_ / "d/beside").string());
  EXPECT_EQ(resolve_path("both", in_file), (directory_ / "d/both").string());
  EXPECT_EQ(resolve_path("both", typed), (directory_ / "both").string());
  EXPECT_EQ(resolve_path("d/../none", in_file), (directory_ / "none").string());
  EXPECT_EQ(resolve_path("/a/./b", in_file), "/a/b");
}

}  // namespace
}  // namespace convoy
