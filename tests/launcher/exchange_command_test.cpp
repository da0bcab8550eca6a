// Files of other programs as users meet them: convert --diff, training that goes on from a file of Keras, a convoy-h5
// that dies or cannot be locked up, a run from base weights that is killed.
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <limits>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "launcher/signals.h"
#include "tests/launcher/exchange_command.h"

namespace convoy {
namespace {

// ---- convert --diff

TEST_F(ExchangeCommand, DiffIsZeroBetweenFormats) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  for (const char* other : {"other.keras", "other.onnx", "other.h5", "other.weights.h5"}) {
    expect_fine(convoy(std::string("convert m.safetensors ") + other));
    const Result result = convoy(std::string("convert m.safetensors ") + other + " --diff");
    expect_fine(result);
    EXPECT_NE(result.output.find("\nlargest relative difference of a tensor: 0\n"), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("  a.weight "), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("  n.running_variance "), std::string::npos) << result.output;
  }
  expect_fine(convoy("convert m.safetensors p.safetensors --names=pytorch"));
  const Result renamed = convoy("convert m.safetensors p.safetensors --diff");
  EXPECT_NE(renamed.output.find("tensor: 0\n"), std::string::npos) << renamed.output;
}

TEST_F(ExchangeCommand, DiffIsRelativeToTheLargestElement) {
  Network network = network_of(kModel, {1, kSide, kSide, 1});
  network.weights["fc.bias"] = {1, -4, 2};
  save("one.safetensors", network);
  network.weights["fc.bias"] = {1, -4, 3};
  save("other.safetensors", network);
  const Result result = convoy("convert one.safetensors other.safetensors --diff");
  expect_fine(result);
  std::istringstream lines(result.output);
  int tensors = 0;
  for (std::string name, value; lines >> name >> value && name != "largest"; ++tensors) {
    EXPECT_EQ(value, name == "fc.bias" ? "0.25" : "0") << name;
  }
  EXPECT_EQ(tensors, 8);
  EXPECT_NE(result.output.find("tensor: 0.25\n"), std::string::npos) << result.output;

  network.weights["fc.bias"] = {1, -4, std::numeric_limits<float>::quiet_NaN()};
  save("other.safetensors", network);
  expect_failure(convoy("convert one.safetensors other.safetensors --diff"), ExitCode::kBadData,
                 {"other.safetensors: has an element for 'fc.bias' that is NaN or infinite"});
  expect_absent("other.safetensors.tmp");
}

TEST_F(ExchangeCommand, DiffOfOtherNetworksIsRefused) {
  save("one.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  save("other.safetensors",
       network_of("name: other\nclasses: 3\nlayers: [flatten, linear: {name: fc, units: 3}]", {1, kSide, kSide, 1}));
  expect_failure(convoy("convert one.safetensors other.safetensors --diff"), ExitCode::kBadData,
                 {"other.safetensors: 'fc.weight' is"});
  save("third.safetensors",
       network_of("name: other\nclasses: 3\nlayers: [flatten, linear: {name: other, units: 3}]", {1, kSide, kSide, 1}));
  expect_failure(convoy("convert one.safetensors third.safetensors --diff"), ExitCode::kBadData,
                 {"third.safetensors: has nothing for 'a.weight'"});
}

// ---- The architecture as a model file

TEST_F(ExchangeCommand, WrittenModelFilesAreRead) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  expect_fine(convoy("convert m.safetensors m.weights.h5"));
  expect_fine(convoy("convert m.safetensors m.yaml"));
  const Result inspected = convoy("inspect m.yaml");
  expect_fine(inspected);
  EXPECT_NE(inspected.output.find("tiny: images of 8x8x1, 3 classes"), std::string::npos) << inspected.output;
  expect_fine(convoy("convert m.weights.h5 again.safetensors --model_file=m.yaml"));
  EXPECT_TRUE(get("again.safetensors") == get("m.safetensors"));

  save("based.safetensors",
       network_of("name: based\nclasses: 3\nbase: {name: front, classes: 3, layers: [conv2d: {name: a, "
                  "filters: 2, kernel: 3}], freeze: true}\n"
                  "layers: [flatten, linear: {name: fc, units: 3}]\n",
                  {1, kSide, kSide, 1}));
  expect_fine(convoy("convert based.safetensors based.yaml"));
  expect_fine(convoy("inspect based.yaml"));

  put("short.yaml", kModel);  // says classes, and nothing of images
  expect_fine(convoy("convert m.weights.h5 again.safetensors --model_file=short.yaml --shape=8,8,1"));
  EXPECT_TRUE(get("again.safetensors") == get("m.safetensors"));
}

// ---- What is said before anything is read or written

TEST_F(ExchangeCommand, FilesAreKnownByTheirContent) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  fs::copy_file(path("m.safetensors"), path("bare"));
  put("t.yaml", kModel);
  expect_fine(convoy("inspect bare"));
  expect_failure(convoy("train bare"), ExitCode::kConfig, {"bare: expected an experiment", "--model_file=bare"});
  expect_failure(convoy("train --model_file=t.yaml --data=d"), ExitCode::kUsage, {"t.yaml: a model file says nothing"});
  expect_failure(convoy("convert m.safetensors x.h5 --model_file=bare"), ExitCode::kUsage,
                 {"bare: expected a model file (YAML)"});
  PosixFileSystem files;
  write_safetensors(files, path("none.safetensors"), {}, {});
  expect_failure(convoy("inspect none.safetensors"), ExitCode::kBadData, {"holds neither a network nor tensors"});
}

TEST_F(ExchangeCommand, FlagsWithoutMeaningAreRefused) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  for (const char* what : {"x.onnx --names=pytorch", "x.yaml --names=convoy", "x.safetensors --output=probabilities",
                           "x.safetensors --fold_batch_norm", "m.safetensors --diff --names=pytorch", "x.onnx a=b"}) {
    expect_failure(convoy(std::string("convert m.safetensors ") + what), ExitCode::kUsage, {"convert: "});
    expect_absent("x.");
  }
  expect_failure(convoy("convert m.safetensors x.pt"), ExitCode::kUsage, {".onnx, .safetensors, .yaml"});
}

TEST_F(ExchangeCommand, TheOutputIsLookedAtFirst) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  const std::string before = get("m.safetensors");
  expect_failure(convoy("convert m.safetensors ./m.safetensors"), ExitCode::kUsage, {"expected another file"});
  EXPECT_TRUE(get("m.safetensors") == before);
  put("bad.h5", "nothing");  // is not read
  expect_failure(convoy("convert bad.h5 gone/x.onnx"), ExitCode::kCannotCreate, {"gone/x.onnx: cannot create"});
}

// ---- Training that goes on from a file

std::string experiment(const std::string& optimizer) {
  return "experiment: {name: first}\n"
         "model:\n"
         "  layers:\n"
         "    - conv2d: {name: a, filters: 4, kernel: 3}\n"
         "    - relu\n"
         "    - flatten\n"
         "    - linear: {name: fc, units: classes}\n"
         "data: {format: idx, classes: 3,\n"
         "       train: {images: d/train-images-idx3-ubyte, labels: d/train-labels-idx1-ubyte}}\n"
         "batch: {global: 8}\n"
         "train: {epochs: 1, eval_every_epochs: 0, exports: [m.keras]}\n"
         "optimizer: {" +
         optimizer +
         "}\n"
         "device: cpu\n"
         "threads: 1\n"
         "progress: none\n";
}

TEST_F(ExchangeCommand, KerasFilesCountStepsOn) {
  for (const char* optimizer : {"type: sgd, learning_rate: 0.05", "type: sgd, learning_rate: 0.05, momentum: 0.9",
                                "type: adam, learning_rate: 0.01"}) {
    put("x.yaml", experiment(optimizer));
    expect_fine(convoy("train x.yaml --fresh"));
    expect_fine(
        convoy("train --fresh --model_file=runs/first/m.keras --data=d --batch_size=8 --num_epochs=2 "
               "experiment.name=second device=cpu threads=1 progress=none"));
    const Hdf5Options with{.program = CONVOY_H5};
    EXPECT_EQ(read_model_file(path("runs/first/m.keras"), with).training->step, 6) << optimizer;
    EXPECT_EQ(read_model_file(path("runs/second/m.keras"), with).training->step, 18) << optimizer;
  }
}

// What follows `before` in the last line that has it, up to a comma or brace.
std::string last_after(const std::string& text, const std::string& before) {
  const size_t at = text.rfind(before);
  if (at == std::string::npos) return "nothing";
  const size_t begin = at + before.size();
  return text.substr(begin, text.find_first_of(",}", begin) - begin);
}

TEST_F(ExchangeCommand, AveragedWeightsAreTakenWhereTheyAreAskedFor) {
  put("x.yaml", experiment("type: sgd, learning_rate: 0.05"));
  const std::string settings =
      " x.yaml 'train.exports=[m.safetensors]' train.ema_decay=0.5 data.test.images=d/train-images-idx3-ubyte "
      "data.test.labels=d/train-labels-idx1-ubyte";
  expect_fine(convoy("train --fresh" + settings));
  const std::string scored = last_after(get("runs/first/log.jsonl"), "\"event\":\"test\",\"images\":48,\"loss\":");
  const Result averaged = convoy("eval --json --ema" + settings), plain = convoy("eval --json" + settings);
  expect_fine(averaged);
  EXPECT_EQ(last_after(averaged.output, "\"loss\":"), scored);
  EXPECT_EQ(last_after(averaged.output, "\"weights\":"), "\"ema\"");
  EXPECT_NE(last_after(plain.output, "\"loss\":"), scored);
  EXPECT_EQ(last_after(plain.output, "\"weights\":"), "nothing");

  expect_fine(convoy("convert runs/first a.safetensors --ema"));
  expect_fine(convoy("convert runs/first b.safetensors"));
  EXPECT_NE(get("a.safetensors"), get("b.safetensors"));
  expect_fine(convoy("convert b.safetensors runs/first/m.safetensors --diff"));
  EXPECT_NE(get("out").find("largest relative difference of a tensor: 0\n"), std::string::npos) << get("out");
  put("a.pgm", "P5\n8 8\n255\n" + std::string(64, 'x'));
  const std::string predict = " a.pgm --device=cpu --logits --format=jsonl";
  const std::string of_average = convoy("predict a.safetensors" + predict).output;
  EXPECT_EQ(convoy("predict runs/first --ema" + predict).output, of_average);
  EXPECT_NE(convoy("predict runs/first" + predict).output, of_average);

  expect_failure(convoy("convert a.safetensors c.onnx --ema"), ExitCode::kUsage, {"a.safetensors", "--ema"});
  expect_fine(convoy("train --fresh x.yaml"));
  for (const char* command : {"convert runs/first c.onnx --ema", "predict runs/first a.pgm --ema --device=cpu"}) {
    expect_failure(convoy(command), ExitCode::kUsage, {"runs/first", "no averaged weights", "train.ema_decay"});
  }
  expect_failure(convoy("eval --ema" + settings), ExitCode::kUsage, {"no averaged weights"});
  expect_absent("c.onnx");
}

TEST_F(ExchangeCommand, TrainingAsksForAnOptimizerThatAFileLacks) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  const std::string train = "train --model_file=m.safetensors --data=d device=cpu threads=1 progress=none";
  expect_failure(convoy(train), ExitCode::kConfig, {"has no optimizer", "optimizer.type=sgd"});
  expect_fine(convoy(train + " optimizer.type=sgd optimizer.learning_rate=0.1"));
}

// ---- What is wrong, and where

TEST_F(ExchangeCommand, ChecksNameWhatTheUserCanSee) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  expect_fine(convoy("convert m.safetensors m.h5"));
  expect_failure(convoy("predict m.safetensors x.png --preprocessing=caffe"), ExitCode::kUsage,
                 {"m.safetensors: --preprocessing: caffe is for images of 3 channels, and this network takes 1"});
  expect_failure(convoy("train --model_file=m.h5 --data=d --batch_size=1000000 optimizer.type=sgd "
                        "optimizer.learning_rate=0.1 experiment.name=y"),
                 ExitCode::kConfig, {"error: command line: batch.global: expected at most the 48 samples"});
  put("x.yaml", experiment("type: sgd, learning_rate: 0.1"));
  put("y.yaml", "base: x.yaml\nmodel: {base: {config: m.h5, until: n}, layers: []}\n");
  expect_failure(convoy("config validate y.yaml"), ExitCode::kConfig,
                 {"m.h5: model.base.layers[1].batch_norm: the network must end in ", ", the output of 'n'; add"});
}

TEST_F(ExchangeCommand, ValidateSaysThatItReadsNoWeights) {
  put("x.yaml", experiment("type: sgd, learning_rate: 0.1"));
  EXPECT_EQ(convoy("config validate x.yaml").output.find("weights"), std::string::npos);
  const Result result = convoy("config validate x.yaml model.weights=gone.h5");
  expect_fine(result);
  EXPECT_NE(result.output.find("; the files of its weights were not read\n"), std::string::npos) << result.output;
}

TEST_F(ExchangeCommand, StagesAndTheTeacherAreSeenBeforeTheRun) {
  const std::string layers = "[{conv2d: {filters: 4, kernel: 3}}, global_average, flatten, {linear: {units: 3}}]";
  save("t.safetensors", network_of("{name: t, classes: 3, layers: " + layers + "}", {1, kSide, kSide, 1}));
  put("x.yaml", R"(
experiment: {name: x}
model: {layers: )" + layers +
                    R"(}
data: {format: synthetic, shape: [8, 8, 1], classes: 3, train_size: 64, test_size: 64}
batch: {global: 16, micro: 4}
train: {epochs: 2, stages: [{epochs: 1, size: [12, 10], micro: 8}, {epochs: 1, size: [9, 9]}]}
loss: {teacher: {file: t.safetensors, preprocessing: rgb/255}}
optimizer: {type: sgd, learning_rate: 0.001}
device: cpu
progress: none
threads: 1
)");
  EXPECT_NE(convoy("config validate x.yaml").output.find("layers; the file of its teacher was not read\n"),
            std::string::npos);
  const auto inspected = nlohmann::json::parse(convoy("inspect x.yaml --json").output);
  EXPECT_EQ(inspected["images"], nlohmann::json({8, 12, 10, 1}));
  EXPECT_EQ(inspected["layers"][1]["output"], nlohmann::json({8, 10, 8, 4}));
  EXPECT_GT(inspected["memory"]["teacher_bytes"], inspected["memory"]["parameter_bytes"]);
  EXPECT_NE(convoy("inspect x.yaml").output.find("most memory: on images of 8x12x10x1"), std::string::npos);
  const Result bench = convoy("bench step x.yaml");
  expect_fine(bench);
  EXPECT_NE(bench.errors.find("warning: train.stages are not measured"), std::string::npos) << bench.errors;
  EXPECT_NE(bench.output.find("| teacher/conv2d forward |"), std::string::npos) << bench.output;
  EXPECT_NE(bench.output.find("| step | ms | share | GFLOP/s | GB/s | of peak |\n"), std::string::npos) << bench.output;
  expect_fine(convoy("train x.yaml"));
  expect_fine(convoy("eval x.yaml"));
}

TEST_F(ExchangeCommand, PredictionsDoWithoutNotesOnTheLoss) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  const Result converted = convoy("convert m.safetensors m.h5 && " CONVOY_PROGRAM " convert m.h5 m.onnx");
  EXPECT_NE(converted.output.find("note: the softmax at the end"), std::string::npos) << converted.output;
  put("a.pgm", "P5\n8 8\n255\n" + std::string(64, 'x'));
  const Result result = convoy("predict m.h5 a.pgm --preprocessing=rgb/255 --device=cpu");
  expect_fine(result);
  EXPECT_EQ(result.errors.find("softmax"), std::string::npos) << result.errors;
}

TEST_F(ExchangeCommand, ConvoyH5RunsUnderLowerLimits) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  expect_fine(convoy("convert m.safetensors m.h5"));
  expect_fine(
      run("ulimit -t 20; ulimit -n 1000; " CONVOY_PROGRAM " inspect m.h5 && " CONVOY_PROGRAM " convert m.h5 n.h5"));
}

// ---- convoy-h5 that dies

class BrokenHelper : public ExchangeCommand {
 protected:
  void SetUp() override {
    ExchangeCommand::SetUp();
    fs::copy_file(CONVOY_PROGRAM, path("convoy"));
    save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
    expect_fine(ExchangeCommand::convoy("convert m.safetensors m.h5"));
    expect_fine(ExchangeCommand::convoy("convert m.safetensors m.keras"));
  }
  // What is run in the place of convoy-h5 from now on.
  void helper(const std::string& script) const {
    put("convoy-h5", "#!/bin/sh\n" + script + "; kill -9 $$\n");
    fs::permissions(path("convoy-h5"), fs::perms::owner_all);
  }
  Result convoy(const std::string& arguments) const { return run("./convoy " + arguments); }
};

TEST_F(BrokenHelper, ExportsLookForItBeforeTheFirstStep) {
  put("x.yaml", experiment("type: sgd, learning_rate: 0.05"));
  const Result result = convoy("train x.yaml experiment.name=y");
  expect_failure(result, ExitCode::kUnavailable, {"convoy-h5", "not found"});
  EXPECT_EQ(result.output.find("epoch"), std::string::npos) << result.output;
}

TEST_F(BrokenHelper, ImportEndsWith65) {
  helper("printf 'CvH5\\002\\000\\000\\000G\\001\\000\\000\\000/'");  // the beginning of what it would say
  put("x.yaml", experiment("type: sgd, learning_rate: 0.05"));
  for (const char* file : {"m.h5", "m.keras"}) {
    const std::string name = file;
    for (const std::string& command :
         {"convert " + name + " y.safetensors", "predict " + name + " d --device=cpu", "inspect " + name,
          "train --model_file=" + name + " --data=d experiment.name=y device=cpu",
          "train x.yaml experiment.name=y model.weights=" + name}) {
      expect_failure(convoy(command), ExitCode::kBadData, {file, "convoy-h5", "was ended by signal 9"});
    }
  }
  expect_absent("y.safetensors");
  EXPECT_FALSE(exists("runs/y/status.json"));
  for (const char* directory : {"runs/y/checkpoints", "runs/y/exports"}) {
    EXPECT_TRUE(!exists(directory) || fs::is_empty(path(directory))) << directory;
  }
}

TEST_F(BrokenHelper, ExportEndsWith74AndLeavesNothing) {
  helper("head -c 100 <&1 >/dev/null");  // of what it is told
  for (const char* file : {"y.h5", "y.keras", "y.weights.h5"}) {
    expect_failure(convoy(std::string("convert m.safetensors ") + file), ExitCode::kIo,
                   {file, "convoy-h5", "was ended by signal 9"});
    expect_absent(file);
  }
  const std::string before = get("m.h5");
  expect_failure(convoy("convert m.safetensors m.h5"), ExitCode::kIo, {"m.h5"});
  EXPECT_EQ(get("m.h5"), before);
}

TEST_F(BrokenHelper, TrainingKeepsItsCheckpointWhereTheExportFails) {
  helper("head -c 100 <&1 >/dev/null");  // of what it is told
  put("x.yaml", experiment("type: sgd, learning_rate: 0.05"));
  const std::string train = "train x.yaml 'train.exports=[y.h5]'";
  expect_failure(convoy(train), ExitCode::kIo, {"y.h5", "was ended by signal 9"});
  expect_absent("y.h5");
  EXPECT_FALSE(fs::is_empty(path("runs/first/checkpoints")));
  expect_fine(ExchangeCommand::convoy("convert runs/first again.h5"));
}

// ---- A kernel without Landlock

// From here on, for this process and its children.
void take_landlock_away() {
  std::array filter = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number of the system call
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {filter.size(), filter.data()};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) ::_exit(99);
}

TEST_F(ExchangeCommand, UnsafeImportIsForEveryVerbThatReads) {
  save("m.safetensors", network_of(kModel, {1, kSide, kSide, 1}));
  expect_fine(convoy("convert m.safetensors m.h5"));
  put("i.ppm", "P6\n1 1\n255\nxyz");
  const auto without_landlock = [&](const std::string& arguments) {
    const pid_t child = ::fork();
    if (child == 0) {
      take_landlock_away();
      ::_exit(convoy(arguments).code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const std::string around =
      "--model_file=m.h5 --data=d device=cpu threads=1 progress=none "
      "'optimizer={type: sgd, learning_rate: 0.1}' 'train.exports=[]' experiment.name=";
  const std::vector<std::string> commands = {
      "convert m.h5 y.safetensors",
      "inspect m.h5",
      "predict m.h5 i.ppm --device=cpu --preprocessing=none",
      "train " + around + "a",
      "eval " + around + "b data.test.images=d/train-images-idx3-ubyte data.test.labels=d/train-labels-idx1-ubyte",
  };
  for (const std::string& command : commands) {
    EXPECT_EQ(without_landlock(command), static_cast<int>(ExitCode::kUnavailable)) << command << get("err");
    EXPECT_NE(get("err").find("--unsafe_import does without"), std::string::npos) << get("err");
    EXPECT_EQ(without_landlock(command + " --unsafe_import"), 0) << command << get("err");
  }
}

// ---- A run from base weights that is killed

constexpr const char* kBase = R"(
name: base
classes: 3
layers:
  - conv2d: {name: a, filters: 4, kernel: 3}
  - batch_norm: {name: n}
  - relu
top:
  - flatten
  - linear: {name: top, units: 3}
)";

// The ranks of a job, by the process that started them.
std::vector<pid_t> children_of(pid_t parent) {
  std::istringstream list(
      get_file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children"));
  return {std::istream_iterator<pid_t>(list), {}};
}

TEST_F(ExchangeCommand, KilledRunFromBaseWeightsResumesBitForBit) {
  put("base.yaml", kBase);
  save("base.safetensors", network_of(kBase, {1, kSide, kSide, 1}));
  std::string text = experiment("type: sgd, learning_rate: 0.05, momentum: 0.9");
  text = replaced(text, "    - conv2d: {name: a, filters: 4, kernel: 3}\n    - relu\n", "");
  text = replaced(text, "model:\n", "model:\n  base: {config: base.yaml, weights: base.safetensors}\n");
  text = replaced(text, "epochs: 1, ", "epochs: 100, ");
  text = replaced(text, "m.keras", "m.safetensors");
  text = replaced(text, "global: 8", "global: 8, micro: 4");
  put("x.yaml", text + "checkpoint: {every_steps: 50, keep: 99}\n");
  const std::string train = CONVOY_MPIEXEC " -n 2 " CONVOY_PROGRAM " train x.yaml";
  expect_fine(run(train + " experiment.output_dir=whole"));

  const pid_t job = ::fork();
  if (job == 0) {
    const int log = ::open(path("log").c_str(), O_WRONLY | O_CREAT, 0600);
    if (::chdir(directory_.path().c_str()) != 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(99);
    ::execl("/bin/sh", "sh", "-c", ("exec " + train + " experiment.output_dir=killed").c_str(), nullptr);
    ::_exit(99);
  }
  const std::string saved = "killed/first/checkpoints/step-0000000100";
  for (int i = 0; i < 3000 && !exists(saved); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  for (const pid_t rank : children_of(job)) ::kill(rank, SIGKILL);
  int status = 0;
  ::waitpid(job, &status, 0);
  EXPECT_NE(status, 0) << get("log");
  ASSERT_TRUE(exists(saved)) << get("log");
  ASSERT_FALSE(exists("killed/first/m.safetensors")) << "ended before it was killed";

  // Goes on without the weights: they are in the checkpoint.
  fs::remove(path("base.safetensors"));
  const Result resumed = run(train + " experiment.output_dir=killed progress=plain");
  expect_fine(resumed);
  EXPECT_NE(resumed.output.find("bit for bit"), std::string::npos) << resumed.output;
  const std::string whole = get("whole/first/m.safetensors");
  EXPECT_FALSE(whole.empty());
  EXPECT_TRUE(get("killed/first/m.safetensors") == whole) << "other weights than those of the run that was not killed";
}

}  // namespace
}  // namespace convoy
