#include "launcher/config/experiment.h"

#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

class ExperimentTest : public ConfigTest {};

TEST_F(ExperimentTest, MinimalFileGetsDefaults) {
  const Experiment e = load(kMinimal);
  EXPECT_EQ(e.experiment.name, "tiny");
  EXPECT_EQ(e.experiment.seed, 1U);
  EXPECT_EQ(e.model.name, "tiny");
  EXPECT_EQ(e.model.classes, 10);
  ASSERT_EQ(e.model.layers.size(), 2U);
  EXPECT_EQ(e.model.layers[0].type, "flatten");
  EXPECT_EQ(e.model.layers[1].path, "model.layers[1].linear");
  EXPECT_EQ(e.model.layers[1].where.text(), "x.yaml:5:7");
  EXPECT_EQ(e.data.train->images, (directory_ / "i.gz").string());
  EXPECT_FALSE(e.data.test.has_value());
  EXPECT_EQ(e.train.epochs, 2);
  EXPECT_FALSE(e.train.steps.has_value());
  EXPECT_EQ(e.optimizer.momentum, 0);
  EXPECT_EQ(e.device, DeviceChoice::kAuto);
  EXPECT_EQ(e.progress, ProgressStyle::kAuto);
}

TEST_F(ExperimentTest, ReadsEveryKind) {
  const Experiment e =
      load(kMinimal, {"experiment.seed=9007199254740993", "train.precision=bf16", "train.steps=20",
                      "optimizer.groups=[{match: '*.bias', weight_decay: 0}]", "data.mean=[0.5,.25,1e-3]",
                      "data.std=[1]", "optimizer.momentum=0.9", "optimizer.nesterov=true", "device=cuda",
                      "metrics.port=0", "distributed.transport=progress_thread"});
  EXPECT_EQ(e.experiment.seed, 9007199254740993U);
  EXPECT_EQ(e.train.precision, Precision::kBF16);
  EXPECT_EQ(e.train.steps, 20);
  EXPECT_FALSE(e.train.epochs.has_value());  // the later choice removes the earlier one
  ASSERT_EQ(e.optimizer.groups.size(), 1U);
  EXPECT_EQ(e.optimizer.groups[0].match, "*.bias");
  EXPECT_EQ(e.optimizer.groups[0].learning_rate_scale, 1);
  EXPECT_EQ(e.optimizer.groups[0].weight_decay, 0);
  EXPECT_EQ(e.data.mean, (std::vector<double>{0.5, 0.25, 0.001}));
  EXPECT_TRUE(e.optimizer.nesterov);
  EXPECT_EQ(e.device, DeviceChoice::kCuda);
  EXPECT_EQ(e.distributed.transport, Transport::kProgressThread);
}

// One line of kMinimal replaced, and the message that this gives.
TEST_F(ExperimentTest, SaysWhatIsWrongAndWhere) {
  const struct {
    std::string what, by, error;
  } cases[] = {
      {"learning_rate: 0.1", "learning_rat: 0.1",
       "x.yaml:16:3: optimizer.learning_rat: unknown key, did you mean 'learning_rate'?"},
      {"  learning_rate: 0.1\n", "", "x.yaml:15:3: optimizer.learning_rate: required key is missing"},
      {"optimizer:\n  type: sgd\n  learning_rate: 0.1\n", "", "x.yaml:1:1: optimizer: required key is missing"},
      {"learning_rate: 0.1",
       "learning_rate:", "x.yaml:16:3: optimizer.learning_rate: expected a number > 0, found nothing"},
      {"learning_rate: 0.1", "learning_rate: \"0.1\"",
       "x.yaml:16:18: optimizer.learning_rate: expected a number > 0, found the quoted text '0.1'"},
      {"learning_rate: 0.1", "learning_rate: -0.1",
       "x.yaml:16:18: optimizer.learning_rate: expected a number > 0, found '-0.1'"},
      {"learning_rate: 0.1", "learning_rate: .nan",
       "x.yaml:16:18: optimizer.learning_rate: expected a number > 0, found '.nan'"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  learning_rate: 0.2",
       "x.yaml:17:3: optimizer.learning_rate: duplicate key, first on line 16"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  momentum: 1",
       "x.yaml:17:13: optimizer.momentum: expected a number in [0, 1), found '1'"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  nesterov: yes",
       "x.yaml:17:13: optimizer.nesterov: expected true or false, found 'yes'"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  nesterov: true",
       "x.yaml:15:3: optimizer.nesterov: needs momentum > 0"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  beta1: 0.5",
       "x.yaml:17:3: optimizer.beta1: only for type: adam, adamw or lamb"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  groups: [{mach: x}]",
       "x.yaml:17:13: optimizer.groups[0].mach: unknown key, did you mean 'match'?"},
      {"type: sgd", "type: sdg",
       "x.yaml:15:9: optimizer.type: expected sgd, adam, adamw, rmsprop, lars, lamb or muon, found 'sdg'"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  renormalize: false",
       "x.yaml:17:3: optimizer.renormalize: only for type: muon"},
      {"learning_rate: 0.1", "learning_rate: 0.1\n  trust_coefficient: 1",
       "x.yaml:17:3: optimizer.trust_coefficient: only for type: lars"},
      {"type: sgd", "type: muon\n  sharded: true",
       "x.yaml:16:3: optimizer.sharded: only for type: sgd, adam, adamw or rmsprop"},
      {"epochs: 2", "epochs: 2\n  ema_decay: 1",
       "x.yaml:14:14: train.ema_decay: expected a number in [0, 1), found '1'"},
      {"epochs: 2", "epochs: 2\n  recompute: auto", "x.yaml:13:3: train.recompute: auto needs memory_mib > 0"},
      {"epochs: 2", "epochs: 2\n  export_ema: true", "x.yaml:13:3: train.export_ema: needs ema_decay > 0"},
      {"epochs: 2", "epochs: 2\n  exports: [a.onnx, ../b.h5]",
       "x.yaml:13:3: train.exports[1]: expected the name of a file in the run directory, found '../b.h5'"},
      {"epochs: 2", "epochs: 2\n  exports: [" + std::string(196, 'x') + ".onnx]",
       "x.yaml:13:3: train.exports[0]: expected at most 200 bytes, found 201"},
      {"epochs: 2", "epochs: 010", "x.yaml:13:11: train.epochs: expected an integer >= 1, found '010'"},
      {"epochs: 2", "epochs: 1e3", "x.yaml:13:11: train.epochs: expected an integer >= 1, found '1e3'"},
      {"epochs: 2", "epochs: 4294967296",
       "x.yaml:13:11: train.epochs: expected an integer in [1, 2147483647], found '4294967296'"},
      {"epochs: 2", "epochs: 2\n  steps: 5", "x.yaml:14:3: train.steps: excludes train.epochs; give one of the two"},
      {"epochs: 2", "log_every_steps: 5", "x.yaml:13:3: train: expected epochs or steps"},
      {"epochs: 2", "epochs: [2]", "x.yaml:13:11: train.epochs: expected an integer >= 1, found a list"},
      {"epochs: 2", "epochs: 2\n---\n", "x.yaml:14:1: expected one document, found a second one"},
      {"  epochs: 2", "  - epochs", "x.yaml:13:3: train: expected a map, found a list"},
      {"global: 64", "global: 64\n  micro: 24",
       "x.yaml:11:3: batch.micro: expected a divisor of batch.global 64, found 24"},
      {"global: 64", "micro: 8", "x.yaml:11:3: batch: expected global or per_rank"},
      {"global: 64", "per_rank: 8\n  micro: 8",
       "x.yaml:11:3: batch.per_rank: excludes batch.micro; give one of the two"},
      {"name: tiny", "name: a/b",
       "x.yaml:1:20: experiment.name: expected text like [A-Za-z0-9_-][A-Za-z0-9._-]{0,99}, found 'a/b'"},
      {"name: tiny", "name: ..",
       "x.yaml:1:20: experiment.name: expected text like [A-Za-z0-9_-][A-Za-z0-9._-]{0,99}, found '..'"},
      {"classes: 10", "clases: 10", "x.yaml:8:3: data.clases: unknown key, did you mean 'classes'?"},
      {"classes: 10", "classes: 10\n  mean: [0, 0, 0]\n  std: [1, 1]",
       "x.yaml:7:3: data.std: expected 1 or 3 numbers, found 2"},
      {"classes: 10", "classes: 10\n  train_size: 8", "x.yaml:9:3: data.train_size: only for format: synthetic"},
      {"format: idx", "format: synthetic", "x.yaml:9:3: data.train: only for format: idx or npy"},
      {"labels: l.gz", "label: l.gz", "x.yaml:9:25: data.train.label: unknown key, did you mean 'labels'?"},
      {"- linear: {units: classes}", "- {}",
       "x.yaml:5:7: model.layers[1]: expected a layer like relu or {conv2d: {filters: 32, kernel: 3}}, found a map"},
      {"- linear: {units: classes}", "- linear: 5", "x.yaml:5:15: model.layers[1].linear: expected a map, found '5'"},
      {"    - flatten\n    - linear: {units: classes}\n", "    []\n",
       "x.yaml:3:3: model.layers: expected at least one layer, or model.config"},
      {"model:\n", "model:\n  classes: 3\n", "x.yaml:3:3: model.classes: expected at least data.classes, 10, found 3"},
      {"batch:\n", "progress: fancy\nbatch:\n",
       "x.yaml:10:11: progress: expected auto, bar, plain or none, found 'fancy'"},
      {"batch:\n", "metrics: {host: '::1'}\nbatch:\n",
       "x.yaml:10:10: metrics.host: IPv6 addresses are not supported; give an IPv4 address or a name"},
      {"batch:\n", "loss: {type: hinge}\nbatch:\n",
       "x.yaml:10:14: loss.type: expected softmax_cross_entropy, binary_cross_entropy or mean_squared_error, found "
       "'hinge'"},
      {"batch:\n", "loss: {label_smoothing: 1}\nbatch:\n",
       "x.yaml:10:25: loss.label_smoothing: expected a number in [0, 1), found '1'"},
      {"batch:\n", "loss: {type: mean_squared_error, label_smoothing: 0.1}\nbatch:\n",
       "x.yaml:10:34: loss.label_smoothing: only for type: softmax_cross_entropy or binary_cross_entropy"},
      {"batch:\n", "loss: {type: binary_cross_entropy, class_weights: [1]}\nbatch:\n",
       "x.yaml:10:36: loss.class_weights: only for type: softmax_cross_entropy"},
      {"batch:\n", "loss: {type: mean_squared_error, teacher: {file: t}}\nbatch:\n",
       "x.yaml:10:34: loss.teacher: only for type: softmax_cross_entropy"},
      {"batch:\n", "loss: {teacher: {weight: 0.5}}\nbatch:\n",
       "x.yaml:10:17: loss.teacher.file: required key is missing"},
      {"batch:\n", "loss: {teacher: {file: t, temperature: 0}}\nbatch:\n",
       "x.yaml:10:40: loss.teacher.temperature: expected a number in [0.01, 1000], found '0'"},
      {"batch:\n", "loss: {teacher: {file: t}, class_weights: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}\nbatch:\n",
       "x.yaml:10:7: loss.class_weights: excludes loss.teacher; give one of the two"},
      {"batch:\n", "loss:\n  class_weights: [1, 2, 3]\nbatch:\n",
       "x.yaml:11:3: loss.class_weights: expected 10 numbers, one for each class, found 3"},
      {"batch:\n", "loss:\n  class_weights: [1, -2]\nbatch:\n",
       "x.yaml:11:22: loss.class_weights[1]: expected a number in [0, 1000000], found '-2'"},
      {"batch:\n", "loss:\n  class_weights: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\nbatch:\n",
       "x.yaml:11:3: loss.class_weights: expected one above 0, else there is nothing to learn"},
      {"  epochs: 2\n", "  epochs: 2\n  stages: [{epochs: 3, global: 32}]\n",
       "x.yaml:13:3: train.stages: have 3 epochs, and train.epochs is 2"},
      {"  epochs: 2\n", "  epochs: 2\n  stages: [{epochs: 1}]\n",
       "x.yaml:14:12: train.stages[0]: expected size, global or micro"},
      {"  epochs: 2\n", "  epochs: 2\n  stages: [{epochs: 1, size: [8, 8]}]\n",
       "x.yaml:14:12: train.stages[0].size: only for data.format: images or synthetic"},
      {"  epochs: 2\n", "  epochs: 2\n  stages: [{epochs: 1, size: [65536, 65536]}]\n",
       "x.yaml:14:12: train.stages[0].size: expected images of at most 2147483647 bytes, found 4294967296"},
      {"  epochs: 2\n", "  epochs: 2\n  stages: [{epochs: 1, global: 32, micro: 5}]\n",
       "x.yaml:14:12: train.stages[0].micro: expected a divisor of train.stages[0].global 32, found 5"},
      {"batch:\n", "lr: 0.1\nbatch:\n",
       "x.yaml:10:1: lr: unknown key, expected one of base, experiment, model, data, loss, batch, train, optimizer, "
       "schedule, "
       "device, threads, distributed, checkpoint, metrics, progress"},
  };
  for (const auto& [what, by, error] : cases) EXPECT_EQ(error_of(replaced(kMinimal, what, by)), error);
}

TEST_F(ExperimentTest, ASeedHas64Bits) {
  EXPECT_EQ(load(kMinimal, {"experiment.seed=18446744073709551615"}).experiment.seed, ~uint64_t{0});
  for (const std::string value : {"18446744073709551616", "-1", "-0", "1.0"}) {
    EXPECT_EQ(error_of(kMinimal, {"experiment.seed=" + value}),
              "command line: experiment.seed=" + value +
                  ": experiment.seed: expected an integer in [0, 18446744073709551615], found '" + value + "'");
  }
}

TEST_F(ExperimentTest, BoundsImages) {
  const auto failure = [&](const std::string& shape) {
    return error_of(kMinimal, {"data.format=synthetic", "data.train=null", "data.shape=" + shape});
  };
  EXPECT_EQ(failure("[28, 28, 1073741824]"),
            "command line: data.shape=[28, 28, 1073741824]: data.shape[2]: expected an integer in [1, 65536], found "
            "'1073741824'");
  EXPECT_EQ(failure("[28, 28, 4097]"), "x.yaml:7:3: data.shape: expected at most 4096 channels, found 4097");
  EXPECT_EQ(failure("[65536, 32768, 1]"),
            "x.yaml:7:3: data.shape: expected images of at most 2147483647 bytes, found 2147483648");
  EXPECT_EQ(failure("[65535, 32768, 1]"), "");
}

TEST_F(ExperimentTest, RefusesAnEmptyFileAndAMissingOne) {
  EXPECT_EQ(error_of(""), "x.yaml:1:1: expected a map, found nothing");
  EXPECT_EQ(error_of("just text\n"), "x.yaml:1:1: expected a map, found 'just text'");
  try {
    load_experiment("none.yaml", {});
    FAIL() << "loaded a missing file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kNoInput);
    EXPECT_STREQ(error.what(), "cannot read 'none.yaml': No such file or directory");
  }
}

TEST_F(ExperimentTest, ReadsTheModelFromItsOwnFile) {
  std::filesystem::create_directory("nets");
  write("nets/small.yaml", "layers:\n  - linear: {units: classes}\n  - linear: {unit: 3}\n");
  const std::string text = replaced(kMinimal, "  layers:\n    - flatten\n    - linear: {units: classes}\n",
                                    "  config: nets/small.yaml\n  classes: 20\n");
  const Experiment e = load(text);
  EXPECT_EQ(e.model.name, "small");
  EXPECT_EQ(e.model.classes, 20);
  EXPECT_EQ(e.model.layers.at(0).parameters.find("units")->text, "20");
  EXPECT_EQ(e.model.layers.at(1).where.text(), (directory_ / "nets/small.yaml").string() + ":3:5");
  EXPECT_EQ(error_of(replaced(text, "small", "smal"), {}, ExitCode::kNoInput),
            "x.yaml:3:11: cannot read '" + (directory_ / "nets/smal.yaml").string() + "': No such file or directory");
  write("nets/small.yaml", "layer: [relu]\n");
  EXPECT_EQ(error_of(text),
            (directory_ / "nets/small.yaml").string() + ":1:1: model.layer: unknown key, did you mean 'layers'?");
}

TEST_F(ExperimentTest, SchedulesThatCannotBeAreRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {"{type: multistep}", "schedule.milestones: required key is missing"},
      {"{type: multistep, milestones: []}", "schedule.milestones: expected at least one number"},
      {"{type: multistep, milestones: [2, 2]}", "schedule.milestones: expected rising numbers"},
      {"{type: multistep, milestones: [2], warmup_epochs: 2}", "schedule.milestones: the first lies in the warm-up"},
      {"{type: cosine, phases: [{type: cosine}]}", "schedule.phases: takes the place of type; give one of the two"},
      {"{phases: [{type: cosine}, {type: constant}]}", "schedule.phases[0].epochs: required key is missing"},
      {"{phases: [{type: multistep, milestones: [3, 1]}]}", "schedule.phases[0].milestones: expected rising numbers"},
      {"{type: cosine, rise: 0.1}", "schedule.rise: only for type: one_cycle"},
      {"{type: cosine, restart_factor: 2}", "schedule.restart_factor: needs restart_epochs > 0"},
      {"{warmup_epochs: 1e300}", "schedule.warmup_epochs: expected a number"},
      {"{phases: [{epochs: 1e300}, {type: cosine}]}", "schedule.phases[0].epochs: expected a number"},
      {"{phases: [{type: cosine, epochs: 3}]}", "schedule.phases[0].epochs: the last phase has the rest"},
      {"{warmup_epochs: 2, phases: [{type: multistep, milestones: [1], epochs: 3}, {}]}",
       "schedule.phases[0].milestones: the first lies in the warm-up"},
  };
  for (const auto& [schedule, message] : cases) {
    EXPECT_NE(error_of(kMinimal, {std::string("schedule=") + schedule}).find(message), std::string::npos)
        << error_of(kMinimal, {std::string("schedule=") + schedule});
  }
}

TEST_F(ExperimentTest, ShowLoadsBackEqual) {
  setenv("CONVOY_TEST_NAME", "a ${b} \"c\"", 1);
  const std::vector<std::vector<std::string>> variants = {
      {},
      {"train.steps=7", "batch.per_rank=3", "device=cpu"},
      {"optimizer.type=adam", "optimizer.learning_rate=1e-7", "optimizer.epsilon=1.2345678901234567e-9"},
      {"schedule.type=step", "schedule.gamma=0.30000000000000004", "optimizer.groups=[{match: '*', weight_decay: 1}]"},
      {"data.format=synthetic", "data.train=null", "data.shape=[8,8,3]", "data.mean=[0.1,0.2,0.3]",
       "data.train_limit=5"},
      {"model.name='yes'", "experiment.output_dir=\"a\\n#b: {c}\"", "checkpoint.resume='12'"},
      {"experiment.output_dir='${env:CONVOY_TEST_NAME}'", "checkpoint.resume='$${literal}'"},
      {"model.layers=[{residual: {layers: [relu, {conv2d: {filters: 3, kernel: [3, 5], padding: 'same'}}]}}]"},
      {"schedule.type=multistep", "schedule.milestones=[1, 2.5]"},
      {"loss={label_smoothing: 0.1, class_weights: [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]}"},
      {"loss={type: binary_cross_entropy, label_smoothing: 0.1}"},
      {"loss={type: mean_squared_error}"},
      {"data.ignore_label=255"},
      {"train.stages=[{epochs: 1, global: 32, micro: 8}]"},
      {"loss={teacher: {file: a.safetensors}}"},
      {"loss={label_smoothing: 0.1, teacher: {file: a.keras, preprocessing: tf, weight: 0.3, temperature: 7.5}}"},
      {"optimizer.learning_rate={base: 0.1, per: 256}", "batch={per_rank: 32}", "model.zero_init_residual=true"},
      {"schedule.plateau={metric: accuracy, factor: 0.5, min_lr: 0.0001}", "schedule.warmup_epochs=0.5"},
      {"train.early_stopping={patience: 3, min_delta: 0.001}", "checkpoint.best=loss"},
      {"schedule={warmup_epochs: 1, phases: [{type: one_cycle, rise: 0.5, epochs: 3}, {type: constant, start: 0.1}]}"},
      {"optimizer.type=lamb", "train.ema_decay=0.999", "train.export_ema=true"},
      {"optimizer.type=lars", "optimizer.trust_coefficient=0.01", "optimizer.momentum=0.9", "optimizer.epsilon=1e-9"},
      {"optimizer.type=muon", "optimizer.newton_schulz_steps=5", "optimizer.renormalize=false"},
  };
  for (const auto& overrides : variants) {
    const std::string text = show(load(kMinimal, overrides));
    EXPECT_EQ(show(load(text)), text);
  }
  const std::string quoted = show(load(kMinimal, variants[6]));
  EXPECT_NE(quoted.find("output_dir: \"a $${b} \\\"c\\\"\"\n"), std::string::npos) << quoted;
}

TEST_F(ExperimentTest, LearningRateMayGrowWithTheBatch) {
  const auto rate = [](const std::vector<std::string>& overrides) {
    return load(kMinimal, overrides).optimizer.learning_rate;
  };
  EXPECT_EQ(rate({}).of(1024), 0.1);
  EXPECT_EQ(rate({"optimizer.learning_rate={base: 0.1, per: 256}"}).of(1024), 0.4);
  EXPECT_EQ(rate({"optimizer.learning_rate={base: 0.1, per: 256}"}).of(64), 0.025);
  EXPECT_EQ(rate({"optimizer.learning_rate={base: 0.1, per: 256}", "optimizer.learning_rate.base=0.2"}).of(256), 0.2);
  EXPECT_EQ(rate({"optimizer.learning_rate={base: 0.1, per: 256}", "optimizer.learning_rate=0.2"}).of(1024), 0.2);
  const std::string shown = show(load(kMinimal, {"optimizer.learning_rate={base: 0.1, per: 256}"}));
  EXPECT_NE(shown.find("  learning_rate:\n    base: 0.1\n    per: 256\n"), std::string::npos) << shown;
  EXPECT_EQ(error_of(kMinimal, {"optimizer.learning_rate={base: 0.1}"}),
            "command line: optimizer.learning_rate={base: 0.1}: optimizer.learning_rate.per: required key is missing");
  EXPECT_EQ(error_of(kMinimal, {"optimizer.learning_rate.per=256"}),
            "command line: optimizer.learning_rate.per=256: optimizer.learning_rate.base: required key is missing");
  EXPECT_EQ(
      error_of(kMinimal, {"optimizer.learning_rate=[0.1]"}),
      "command line: optimizer.learning_rate=[0.1]: optimizer.learning_rate: expected a number > 0, found a list");
}

TEST_F(ExperimentTest, WhatFollowsFromEvaluationsNeedsThem) {
  const std::string end = ": follows from evaluations; expected train.eval_every_epochs > 0";
  for (const char* setting :
       {"schedule.plateau={}", "train.early_stopping={patience: 2}", "checkpoint.best=accuracy"}) {
    EXPECT_EQ(error_of(kMinimal, {setting}), "");
    const std::string error = error_of(kMinimal, {setting, "train.eval_every_epochs=0"});
    const std::string key = std::string(setting).substr(0, std::string(setting).find('='));
    EXPECT_TRUE(error.starts_with("command line: ") && error.ends_with(key + end)) << error;
  }
  EXPECT_TRUE(error_of(kMinimal, {"schedule.plateau={}", "schedule.type=cosine"})
                  .ends_with("schedule.plateau: takes the place of type, start and phases; give one of the two"));
}

TEST_F(ExperimentTest, ShowPrintsOnlyWhatApplies) {
  const std::string text = show(load(kMinimal));
  EXPECT_NE(text.find("learning_rate: 0.1\n"), std::string::npos);
  EXPECT_NE(text.find("units: 10}"), std::string::npos);
  for (const char* absent : {"beta1", "steps:\n", "train_size", "gamma", "null"}) {
    EXPECT_EQ(text.find(absent), std::string::npos) << absent;
  }
}

TEST(ResolveBatch, MicroIsTheLargestDivisorUpTo32) {
  const auto micro = [](int global) { return resolve({.global = global}, 1).micro; };
  EXPECT_EQ(micro(256), 32);
  EXPECT_EQ(micro(96), 32);
  EXPECT_EQ(micro(100), 25);
  EXPECT_EQ(micro(97), 1);
  EXPECT_EQ(micro(8), 8);
}

TEST(ResolveBatch, PerRankGrowsWithTheWorld) {
  const ResolvedBatch batch = resolve({.per_rank = 48}, 3);
  EXPECT_EQ(batch.global, 144);
  EXPECT_EQ(batch.micro, 48);
  EXPECT_EQ(batch.micro_batches, 3);
}

TEST(ResolveBatch, RefusesMoreRanksThanMicroBatches) {
  const BatchConfig batch{.global = 96, .micro = 24, .per_rank = {}, .where = {"x.yaml", 7, 3}};
  EXPECT_EQ(resolve(batch, 4).micro_batches, 4);
  try {
    resolve(batch, 5);
    FAIL() << "accepted 5 ranks";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_STREQ(error.what(),
                 "x.yaml:7:3: batch: 96 rows in micro-batches of 24 give 4 for 5 ranks; "
                 "raise batch.global, lower batch.micro or start fewer ranks");
  }
}

TEST(RequireFullBatch, SaysHowManySamplesThereAre) {
  const Mark where{"x.yaml", 7, 3};
  const auto failure = [](const BatchConfig& batch, int64_t samples) -> std::string {
    try {
      require_full_batch(batch, samples, 2);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(failure({.global = 64, .where = where}, 64), "");
  EXPECT_EQ(failure({.global = 64, .where = where}, 63),
            "x.yaml:7:3: batch.global: expected at most the 63 samples to train on, found 64");
  EXPECT_EQ(failure({.per_rank = 32, .where = where}, 63),
            "x.yaml:7:3: batch.per_rank: expected at most the 63 samples to train on, found 64 for all ranks");
}

}  // namespace
}  // namespace convoy
