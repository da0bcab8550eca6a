#include "launcher/command_line.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

using Texts = std::vector<std::string>;

std::string failure(const Texts& arguments) {
  try {
    parse_command_line(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(CommandLine, TakesWordsOverridesAndFlagsInAnyOrder) {
  const CommandLine line = parse_command_line(
      {"train", "train.epochs=3", "--fresh", "x.yaml", "--batch_size=64", "optimizer.learning_rate=0.1"});
  EXPECT_EQ(line.verb, "train");
  EXPECT_EQ(line.words, Texts{"x.yaml"});
  EXPECT_EQ(line.overrides, (Texts{"train.epochs=3", "batch.global=64", "optimizer.learning_rate=0.1"}));
  EXPECT_TRUE(line.fresh);
  EXPECT_FALSE(line.gpustat);
}

TEST(CommandLine, TakesAValueAfterASpaceOrAnEqualsSign) {
  const Texts overrides = {"batch.global=64", "train.epochs=2"};
  EXPECT_EQ(parse_command_line({"train", "x.yaml", "--batch_size", "64", "--num_epochs", "2"}).overrides, overrides);
  EXPECT_EQ(parse_command_line({"train", "--batch_size=64", "--num_epochs=2", "x.yaml"}).overrides, overrides);
}

TEST(CommandLine, ReadsEveryFlag) {
  EXPECT_TRUE(parse_command_line({"train", "--gpustat=on"}).gpustat);
  EXPECT_FALSE(parse_command_line({"train", "--gpustat=on", "--gpustat=off"}).gpustat);
  EXPECT_EQ(parse_command_line({"eval", "--checkpoint", "runs/a/checkpoints/step-1"}).checkpoint,
            "runs/a/checkpoints/step-1");
  EXPECT_EQ(parse_command_line({"bench", "--repeat=7", "--json"}).repeat, 7);
  EXPECT_TRUE(parse_command_line({"inspect", "--json"}).json);
  EXPECT_TRUE(parse_command_line({"config", "--help"}).help);
}

TEST(CommandLine, ASlashBeforeTheEqualsSignMakesAFile) {
  const CommandLine line = parse_command_line({"train", "./lr=0.1.yaml", "model.config=a/b.yaml"});
  EXPECT_EQ(line.words, Texts{"./lr=0.1.yaml"});
  EXPECT_EQ(line.overrides, Texts{"model.config=a/b.yaml"});
}

// Images have any name, and predict no keys.
TEST(CommandLine, EveryWordOfPredictIsAWord) {
  const CommandLine line = parse_command_line({"predict", "a.h5", "x=1.jpg", "--top=3", "y.jpg"});
  EXPECT_EQ(line.words, (Texts{"a.h5", "x=1.jpg", "y.jpg"}));
  EXPECT_EQ(line.overrides, Texts{});
  EXPECT_EQ(flag(line, "top"), "3");
  EXPECT_EQ(failure({"predict", "--top=many"}), "--top: expected an integer >= 1, found 'many'");
  EXPECT_EQ(failure({"predict", "--top=99999999999"}),
            "--top: expected an integer in [1, 2147483647], found '99999999999'");
  EXPECT_EQ(failure({"predict", "--threads=40000"}), "--threads: expected an integer in [1, 1024], found '40000'");
  EXPECT_EQ(failure({"data", "--threads=1025"}), "--threads: expected an integer in [1, 1024], found '1025'");
  EXPECT_EQ(failure({"predict", "--preprocessing="}), "--preprocessing: expected a value, found none");
}

TEST(CommandLine, ConvertTakesNoKeys) {
  EXPECT_EQ(parse_command_line({"convert", "a=1.h5", "b=2.h5"}).words, (Texts{"a=1.h5", "b=2.h5"}));
  EXPECT_EQ(failure({"convert", "a.h5", "b.h5", "x=3"}), "convert: unexpected 'x=3' after 'b.h5'");
  EXPECT_EQ(help_text("convert").find("key=value"), std::string::npos);
  EXPECT_NE(help_text("train").find("key=value"), std::string::npos);
}

TEST(CommandLine, TwoDashesEndTheFlags) {
  EXPECT_EQ(parse_command_line({"train", "--fresh", "--", "--fresh"}).words, Texts{"--fresh"});
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(failure({}), "expected a verb; convoy --help lists them");
  EXPECT_EQ(failure({"trian", "x.yaml"}), "unknown verb 'trian', did you mean 'train'?");
  EXPECT_EQ(failure({"help"}), "unknown verb 'help', did you mean convoy --help?");
  EXPECT_EQ(failure({"-h"}), "unknown verb '-h', did you mean convoy --help?");
  EXPECT_EQ(failure({"version"}), "unknown verb 'version', did you mean convoy --version?");
  EXPECT_EQ(failure({"train", "--bath_size=3"}), "train: unknown flag --bath_size, did you mean '--batch_size'?");
  EXPECT_EQ(failure({"eval", "--fresh"}).substr(0, 45), "eval: unknown flag --fresh, expected one of -");
  EXPECT_EQ(failure({"train", "--fre"}).substr(0, 43), "train: unknown flag --fre, expected one of ");  // no guessing
  EXPECT_EQ(failure({"train", "a.yaml", "b.yaml"}), "train: unexpected 'b.yaml' after 'a.yaml'");
}

TEST(CommandLine, RefusesWrongValues) {
  EXPECT_EQ(failure({"train", "--batch_size"}), "train: the required argument for option '--batch_size' is missing");
  EXPECT_EQ(failure({"train", "--fresh=2"}), "train: option '--fresh' does not take any arguments");
  EXPECT_EQ(failure({"train", "--gpustat=maybe"}), "--gpustat: expected on or off, found 'maybe'");
  for (const std::string flag : {"--repeat", "--batch_size", "--num_epochs"}) {
    for (const std::string value : {"0", "-1", "2x", "1e3", "abc"}) {
      EXPECT_EQ(failure({"bench", flag + "=" + value}), flag + ": expected an integer >= 1, found '" + value + "'");
    }
  }
}

TEST(CommandLine, RequireWordNamesWhatIsMissing) {
  EXPECT_THROW(
      try {
        require_word(parse_command_line({"convert", "", "x.h5"}), 0, "a file");
      } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "convert: expected a file, found ''; see convoy convert --help");
        throw;
      },
      Error);
  const CommandLine line = parse_command_line({"config", "show"});
  EXPECT_EQ(require_word(line, 0, "an action"), "show");
  EXPECT_THROW(
      try { require_word(line, 1, "an experiment file"); } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "config: expected an experiment file; see convoy config --help");
        throw;
      },
      Error);
}

TEST(CommandLine, HelpNamesTheFlagsOfAVerb) {
  EXPECT_NE(help_text().find("  bench "), std::string::npos);
  EXPECT_NE(help_text("bench").find("--repeat N"), std::string::npos);
  EXPECT_EQ(help_text("train").find("--repeat"), std::string::npos);
}

class CommandLineWithFiles : public ConfigTest {};

// The model file is looked for from the working directory, whatever its name and wherever the experiment is.
TEST_F(CommandLineWithFiles, AModelFileTakesThePlaceOfTheModel) {
  std::filesystem::create_directory("configs");
  write("configs/x.yaml", kMinimal);
  write("it's [a]: model.yaml", "layers: [global_average, linear: {units: classes}]\n");
  const CommandLine line =
      parse_command_line({"train", "configs/x.yaml", "--model_file=it's [a]: model.yaml", "--batch_size=32"});
  const Experiment experiment = load_experiment(line.words[0], line.overrides);
  EXPECT_EQ(experiment.model.layers.at(0).type, "global_average");
  EXPECT_EQ(experiment.batch.global, 32);
}

}  // namespace
}  // namespace convoy
