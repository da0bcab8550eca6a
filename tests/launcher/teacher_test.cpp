// Runs that learn from a teacher: what it says, that it is the file's, and what is refused.
#include "launcher/teacher.h"

#include <filesystem>
#include <numeric>

#include "launcher/config/parts.h"
#include "launcher/exchange/open_network.h"
#include "launcher/exchange/tensor_files.h"
#include "tests/core/base/testing.h"
#include "tests/launcher/run_fixture.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class TeacherTest : public RunTest {
 protected:
  // A small run, whose network becomes `file`.
  void make_teacher_file(const std::string& file, const std::vector<std::string>& overrides = {}) {
    std::vector<std::string> settings = {"experiment.name=teacher", "train.steps=5",
                                         "train.exports=[model.safetensors]"};
    settings.insert(settings.end(), overrides.begin(), overrides.end());
    ASSERT_EQ(train(1, settings, true).code, ExitCode::kDone);
    fs::copy_file("runs/teacher/model.safetensors", file, fs::copy_options::overwrite_existing);
  }

  Outcome learn(int ranks, const std::string& teacher, const std::vector<std::string>& overrides = {},
                bool fresh = true) {
    std::vector<std::string> settings = {"loss={teacher: {" + teacher + "}}", "data.mix.mixup=0.4"};
    settings.insert(settings.end(), overrides.begin(), overrides.end());
    return train(ranks, settings, fresh);
  }

  std::string refusal(const std::string& teacher, ExitCode code) {
    try {
      learn(1, teacher);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "";
  }
};

TEST_F(TeacherTest, SaysWhatItsNetworkSays) {
  make_teacher_file("teacher.safetensors");
  const Experiment experiment = load(kRunExperiment, {"loss={teacher: {file: teacher.safetensors}}"});
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = make_backend(experiment, *host, 1);
  constexpr int kRows = 3;
  const Shape images{kRows, 10, 10, 3};
  const TeacherConfig& config = *experiment.loss.teacher;
  const Teacher teacher(config, read_teacher(config, {}), 4, images, backend);

  std::vector<uint8_t> pixels(static_cast<size_t>(images.elements()));
  std::iota(pixels.begin(), pixels.end(), uint8_t{7});
  std::vector<float> logits(kRows * 4);
  Plan pass;
  teacher.prepend_to(pass, pixels.data(), logits.data());
  pass.run();
  Inference network(open_network("teacher.safetensors").network, backend, {.rows = kRows});
  const std::span<const float> wanted = network.run(pixels);
  EXPECT_EQ(logits, std::vector<float>(wanted.begin(), wanted.end()));
}

TEST_F(TeacherTest, CountsByItsWeightWhateverTheRanks) {
  make_teacher_file("teacher.safetensors");
  const std::string file = "file: teacher.safetensors, weight: ";
  const std::string slow = "optimizer.learning_rate=0.01";
  const Outcome plain = train(2, {"data.mix.mixup=0.4", slow}, true);
  EXPECT_EQ(learn(2, file + "0", {slow}).by_rank, plain.by_rank);
  for (const char* weight : {"0.5", "1, temperature: 1"}) {
    const Outcome alone = learn(1, file + weight, {slow}), several = learn(3, file + weight, {slow});
    EXPECT_LE(worst_distance(several.by_rank[0], alone.by_rank[0]), 1e-5) << weight;
    EXPECT_EQ(several.evaluation->correct, alone.evaluation->correct) << weight;
    EXPECT_GT(worst_distance(alone.by_rank[0], plain.by_rank[0]), 1e-3) << weight;
  }
}

TEST_F(TeacherTest, ResumedRunIsBitwiseEqualWhereverTheFileLies) {
  make_teacher_file("teacher.safetensors");
  make_teacher_file("another.safetensors", {"experiment.seed=5"});
  const std::vector<std::string> saving = {"checkpoint.every_steps=5", "checkpoint.keep=9"};
  const Outcome whole = learn(2, "file: teacher.safetensors", saving);
  const auto last_half = [&](const std::string& teacher) {
    for (const char* step : {"15", "20"}) fs::remove_all(std::string("runs/run/checkpoints/step-00000000") + step);
    fs::remove("runs/run/status.json");
    testing::internal::CaptureStdout();
    const Outcome outcome = learn(2, teacher, {saving[0], saving[1], "progress=plain"}, false);
    return std::pair(outcome.by_rank == whole.by_rank, testing::internal::GetCapturedStdout());
  };
  fs::rename("teacher.safetensors", "moved.safetensors");
  const auto [same, header] = last_half("file: moved.safetensors");
  EXPECT_TRUE(same);
  EXPECT_NE(header.find("bit for bit"), std::string::npos) << header;
  EXPECT_EQ(header.find("not bit for bit"), std::string::npos) << header;
  EXPECT_NE(header.find("moved.safetensors (safetensors of Convoy), weight 0.9, temperature 4"), std::string::npos)
      << header;
  const auto [other, warning] = last_half("file: another.safetensors");
  EXPECT_FALSE(other);
  EXPECT_NE(warning.find("not bit for bit"), std::string::npos) << warning;
}

// Though a network without a name has that of its file.
TEST_F(TeacherTest, IsKnownByWhatItSays) {
  make_teacher_file("teacher.safetensors");
  PosixFileSystem files;
  write_network(files, "one.onnx", open_network("teacher.safetensors").network, {});
  fs::copy_file("one.onnx", "other.onnx");
  const Experiment experiment = load(kRunExperiment);
  const std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend = make_backend(experiment, *host, 1);
  const auto fingerprint = [&](const std::string& file) {
    const TeacherConfig config{.file = file, .preprocessing = "rgb/255"};
    return Teacher(config, read_teacher(config, {}), 4, {2, 10, 10, 3}, backend).fingerprint();
  };
  EXPECT_EQ(fingerprint("one.onnx"), fingerprint("other.onnx"));
  make_teacher_file("teacher.safetensors", {"experiment.seed=5"});
  write_network(files, "other.onnx", open_network("teacher.safetensors").network, {});
  EXPECT_NE(fingerprint("one.onnx"), fingerprint("other.onnx"));
}

TEST_F(TeacherTest, IsNotAskedForByWhoeverGoesOn) {
  make_teacher_file("teacher.safetensors");
  ASSERT_EQ(learn(1, "file: teacher.safetensors").code, ExitCode::kDone);
  const ForeignModel checkpoint = read_model_file("runs/run");
  ASSERT_TRUE(checkpoint.loss);
  EXPECT_EQ(checkpoint.loss->type, LossType::kSoftmaxCrossEntropy);
  EXPECT_FALSE(checkpoint.loss->teacher);
}

TEST_F(TeacherTest, SeesImagesOfEverySize) {
  make_teacher_file("teacher.safetensors", {kAnySize});
  const std::vector<std::string> staged = {
      kAnySize, "train={epochs: 2, eval_every_epochs: 0, stages: [{epochs: 1, size: [6, 8], global: 48, micro: 16}]}",
      "optimizer.learning_rate=0.01"};
  const Outcome alone = learn(1, "file: teacher.safetensors", staged);
  EXPECT_LE(worst_distance(learn(3, "file: teacher.safetensors", staged).by_rank[0], alone.by_rank[0]), 1e-5);
  EXPECT_GT(worst_distance(learn(1, "file: teacher.safetensors, weight: 0", staged).by_rank[0], alone.by_rank[0]),
            1e-4);
}

// Nobody waits for the rank that has not what the others have.
TEST_F(TeacherTest, IsTheSameOnAllRanks) {
  make_teacher_file("teacher.safetensors");
  make_teacher_file("another.safetensors", {"experiment.seed=5"});
  const auto code = [&](const char* of_rank_1) {
    const Experiment first = load(kRunExperiment, {"loss={teacher: {file: teacher.safetensors}}"});
    const Experiment second = load(kRunExperiment, {std::string("loss={teacher: {file: ") + of_rank_1 + "}}"});
    Signals signals;
    return code_of([&] {
      run_thread_group(2, [&](Communicator& communicator) {
        TrainingRun run({.version = "test", .fresh = true}, communicator.rank() == 0 ? first : second, communicator,
                        signals);
      });
    });
  };
  EXPECT_EQ(code("teacher.safetensors"), ExitCode::kDone);
  EXPECT_EQ(code("nowhere.safetensors"), ExitCode::kNoInput);
  EXPECT_EQ(code("another.safetensors"), ExitCode::kRanksDisagree);
}

TEST_F(TeacherTest, RefusesNetworksThatCannotTeachThisOne) {
  EXPECT_NE(refusal("file: nowhere.safetensors", ExitCode::kNoInput).find("nowhere.safetensors"), std::string::npos);
  make_teacher_file("five.safetensors", {"data.classes=5"});
  const std::string classes = refusal("file: five.safetensors", ExitCode::kConfig);
  EXPECT_TRUE(classes.starts_with("command line: loss={teacher: {file: five.safetensors}}: loss.teacher: ")) << classes;
  EXPECT_NE(classes.find("expected 4 classes"), std::string::npos) << classes;
  EXPECT_NE(classes.find("found 5"), std::string::npos) << classes;
  make_teacher_file("grey.safetensors", {"data.shape=[10,10,1]"});
  EXPECT_NE(refusal("file: grey.safetensors", ExitCode::kConfig).find("is for images of 10x10x1, not of 10x10x3: "),
            std::string::npos);
}

// In the middle of a run, in bits: what is at fault is said.
TEST_F(TeacherTest, ThatOverflowsIsNamed) {
  make_teacher_file("teacher.safetensors");
  Network network = open_network("teacher.safetensors").network;
  for (float& weight : network.weights.at("linear_1.weight")) weight = 3e38F;
  PosixFileSystem files;
  write_safetensors_model(files, "broken.safetensors", network, {});
  EXPECT_NE(refusal("file: broken.safetensors", ExitCode::kNonFinite).find("first in 'teacher/linear_1"),
            std::string::npos);
}

// A teacher of the same classes in another order would teach the wrong ones.
TEST_F(TeacherTest, KnowsTheClassesByTheSameNames) {
  put_pictures("pictures", 40, 4);  // classes a, b, c, d
  make_teacher_file("teacher.safetensors");
  Network network = open_network("teacher.safetensors").network;
  const auto code = [&](const std::vector<std::string>& names) {
    network.class_names = names;
    PosixFileSystem files;
    write_safetensors_model(files, "named.safetensors", network, {});
    return code_of([&] {
      learn(1, "file: named.safetensors",
            {"data={format: images, path: pictures, validation: 0.25}", "data.train_size=null", "data.test_size=null",
             "batch.global=8", "train.steps=1"});
    });
  };
  EXPECT_EQ(code({"a", "b", "c", "d"}), ExitCode::kDone);
  EXPECT_EQ(code({"0", "1", "2", "3"}), ExitCode::kDone);
  EXPECT_EQ(code({"a", "c", "b", "d"}), ExitCode::kConfig);
}

// The rank whose file names them otherwise fails alone, and nobody waits for it.
TEST_F(TeacherTest, KnowsTheClassesByTheSameNamesOnEveryRank) {
  put_pictures("pictures", 40, 4);
  make_teacher_file("teacher.safetensors");
  Network network = open_network("teacher.safetensors").network;
  const auto experiment = [&](const std::string& file, const std::vector<std::string>& names) {
    network.class_names = names;
    PosixFileSystem files;
    write_safetensors_model(files, file, network, {});
    return load(kRunExperiment,
                {"loss={teacher: {file: " + file + "}}", "data={format: images, path: pictures, validation: 0.25}",
                 "data.train_size=null", "data.test_size=null", "batch.global=16", "train.steps=1"});
  };
  const Experiment first = experiment("one.safetensors", {"a", "b", "c", "d"});
  const Experiment second = experiment("other.safetensors", {"a", "c", "b", "d"});
  Signals signals;
  EXPECT_EQ(code_of([&] {
              run_thread_group(2, [&](Communicator& communicator) {
                TrainingRun run({.version = "test", .fresh = true}, communicator.rank() == 0 ? first : second,
                                communicator, signals);
              });
            }),
            ExitCode::kConfig);
}

// As torchvision's: no architecture and no preprocessing.
TEST_F(TeacherTest, WeightsAloneNeedToldWhatTheyAre) {
  make_teacher_file("teacher.safetensors");
  PosixFileSystem files;
  const Network network = open_network("teacher.safetensors").network;
  write_safetensors_model(files, "described.safetensors", network, {.pytorch_names = true});
  write_safetensors(files, "weights.safetensors", SafetensorsFile::open("described.safetensors").tensors(), {});
  put_file("model.yaml", show(network.config));
  const std::string weights = "file: weights.safetensors", model = weights + ", model: model.yaml";
  EXPECT_NE(refusal(weights, ExitCode::kConfig).find("loss.teacher.model"), std::string::npos);
  EXPECT_NE(refusal(model, ExitCode::kConfig).find("loss.teacher.preprocessing"), std::string::npos);
  EXPECT_NE(refusal(weights + ", model: gone.yaml, preprocessing: rgb/255", ExitCode::kNoInput).find("gone.yaml"),
            std::string::npos);
  EXPECT_EQ(learn(1, model + ", preprocessing: rgb/255").code, ExitCode::kDone);
}

}  // namespace
}  // namespace convoy
