#include "launcher/exchange/tensor_files.h"

#include <gtest/gtest.h>

#include "launcher/config/parts.h"
#include "launcher/exchange/open_network.h"
#include "tests/launcher/config/fixture.h"

namespace convoy {
namespace {

constexpr const char* kModel =
    "name: small\n"
    "classes: 4\n"
    "layers:\n"
    "  - conv2d: {filters: 3, kernel: [2, 1], name: c}\n"
    "  - batch_norm: {name: n}\n"
    "  - flatten\n"
    "  - linear: {units: classes, name: fc}\n";

class TensorFilesTest : public ConfigTest {
 protected:
  static Network network() {
    Network it;
    it.config = parse_model(kModel, "small.yaml");
    substitute_classes(it.config);
    it.sample = {1, 3, 2, 2};
    it.model = build_model(it.config, {}, it.sample, {.training = false, .normalize = false, .rewrite = false});
    float next = 0;
    for (const WeightPlace& place : weight_places(it.model.graph)) {
      std::vector<float>& values = it.weights[place.name];
      for (int64_t i = 0; i < place.shape.elements(); ++i) values.push_back(next += 1);
    }
    it.preprocessing = named_preprocessing("caffe");
    it.class_names = {"a", "b", "\"c\"", "d"};
    return it;
  }

  static Error error_of_opening(const std::string& path, const NetworkOptions& options = {}) {
    try {
      open_network(path, options);
    } catch (const Error& error) {
      return error;
    }
    return {ExitCode::kDone, ""};
  }

  PosixFileSystem files_;
};

TEST_F(TensorFilesTest, AFileOfOursIsAWholeModel) {
  const Network before = network();
  write_network(files_, "m.safetensors", before, {});
  const OpenedNetwork opened = open_network("m.safetensors");
  EXPECT_EQ(opened.network.weights, before.weights);
  EXPECT_EQ(opened.network.sample, before.sample);
  EXPECT_EQ(show(opened.network.config), show(before.config));
  EXPECT_EQ(opened.network.class_names, before.class_names);
  ASSERT_TRUE(opened.network.preprocessing.has_value());
  EXPECT_TRUE(opened.network.preprocessing->bgr);
  EXPECT_EQ(opened.network.preprocessing->mean, before.preprocessing->mean);
  for (const auto& entry : std::filesystem::directory_iterator(".")) EXPECT_NE(entry.path().extension(), ".tmp");
}

TEST_F(TensorFilesTest, WithPytorchsNamesItHasCountersAndComesBackTheSame) {
  const Network before = network();
  write_network(files_, "m.safetensors", before, {.pytorch_names = true});
  const SafetensorsFile file = SafetensorsFile::open("m.safetensors");
  EXPECT_NE(file.find("n.running_var"), nullptr);
  EXPECT_EQ(file.find("n.running_variance"), nullptr);
  EXPECT_EQ(file.find("n.num_batches_tracked")->type, StoredType::kI64);
  EXPECT_EQ(file.find("c.weight")->dims, (std::vector<int64_t>{3, 2, 2, 1}));
  EXPECT_EQ(open_network("m.safetensors").network.weights, before.weights);
}

TEST_F(TensorFilesTest, PrefixesOfWrappersAreDropped) {
  const std::vector<float> values(3, 1);
  const auto bytes = std::as_bytes(std::span(values));
  write_safetensors(files_, "m.safetensors", {{"module._orig_mod.c.bias", StoredType::kF32, {3}, bytes}}, {});
  EXPECT_EQ(read_model_file("m.safetensors").tensors.at(0).name, "c.bias");
}

TEST_F(TensorFilesTest, SaysWhatIsNeededForWeightsAlone) {
  const std::vector<float> values(3, 1);
  write_safetensors(files_, "m.safetensors", {{"c.bias", StoredType::kF32, {3}, std::as_bytes(std::span(values))}}, {});
  const Error no_network = error_of_opening("m.safetensors");
  EXPECT_EQ(no_network.code(), ExitCode::kUsage);
  EXPECT_NE(std::string(no_network.what()).find("--model_file"), std::string::npos) << no_network.what();
  write("small.yaml", std::string(kModel) + "made_for: {shape: [3, 2, 2], classes: 4}\n");
  const Error incomplete = error_of_opening("m.safetensors", {.model_file = "small.yaml"});
  EXPECT_EQ(incomplete.code(), ExitCode::kBadData);
  EXPECT_NE(std::string(incomplete.what()).find("has nothing for 'c.weight'"), std::string::npos) << incomplete.what();
}

TEST_F(TensorFilesTest, RefusesWhatItCannotRead) {
  write("text", "hello, this is no model at all");
  write("empty", "");
  write("pickle", "\x80\x02}q");
  for (const char* path : {"text", "empty", "pickle"}) {
    EXPECT_EQ(error_of_opening(path).code(), ExitCode::kBadData) << path;
  }
  EXPECT_NE(std::string(error_of_opening("pickle").what()).find("safetensors.torch.save_file"), std::string::npos);
  EXPECT_EQ(error_of_opening("absent").code(), ExitCode::kNoInput);
}

TEST_F(TensorFilesTest, RefusesMetadataThatLie) {
  const Network before = network();
  const std::pair<const char*, const char*> kLies[] = {{"convoy.shape", "[3, 2]"},
                                                       {"convoy.shape", "[3, 2, 1e9]"},
                                                       {"convoy.preprocessing", "{}"},
                                                       {"convoy.class_names", "[1]"},
                                                       {"convoy.model", "layers: 3"}};
  for (const auto& [key, value] : kLies) {
    auto metadata = describe_network(before.config, before.sample, before.preprocessing, before.class_names);
    metadata[key] = value;
    metadata["format"] = "convoy";
    write_safetensors(files_, "m.safetensors", {}, metadata);
    const Error error = error_of_opening("m.safetensors");
    EXPECT_TRUE(error.code() == ExitCode::kBadData || error.code() == ExitCode::kConfig) << key << ": " << error.what();
    EXPECT_TRUE(std::string(error.what()).starts_with("m.safetensors")) << error.what();
  }
}

TEST_F(TensorFilesTest, RefusesNamesOfAnotherNumberOfClasses) {
  for (const size_t count : {1, 5}) {
    Network named = network();
    named.class_names = std::vector<std::string>(count, "x");
    write_network(files_, "m.safetensors", named, {});
    const Error error = error_of_opening("m.safetensors");
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_EQ(error.what(), "m.safetensors: names " + std::to_string(count) + " classes, and its network has 4");
  }
}

// The text of a network in somebody else's file reads nothing of who opens it.
TEST_F(TensorFilesTest, AForeignNetworkNamesNoEnvironmentAndNoFiles) {
  const auto error_of = [](const std::string& text) {
    try {
      parse_model(text, "f");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfig);
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string layers = "layers: [flatten, linear: {units: 2}]\n";
  EXPECT_EQ(error_of("name: a${env:HOME}\n" + layers),
            "f: name: found ${, which only your own files may hold: it reads the environment");
  EXPECT_EQ(error_of("name: 'a$${env:HOME}'\n" + layers), "");
  EXPECT_EQ(parse_model("name: 'a$${env:HOME}'\n" + layers, "f").name, "a${env:HOME}");
  EXPECT_EQ(error_of("name: a\n"), "f: model.layers: expected at least one layer, or model.config");
  EXPECT_EQ(error_of("base: {layers: []}\n" + layers),
            "f: model.base.layers: expected at least one layer, or model.base.config");
  const ModelConfig model = parse_model(
      "weights: /etc/passwd\nbase: {weights: /etc/passwd, " + layers.substr(0, layers.size() - 1) + "}\n" + layers,
      "f");
  EXPECT_FALSE(model.weights);
  EXPECT_FALSE(model.base->weights);
}

// Where a network that began with the weights of another file is itself the file to begin with.
TEST_F(TensorFilesTest, AnExportedNetworkIsItsOwnWeights) {
  Network exported = network();
  exported.config.weights = "/nowhere/older.h5";
  write_network(files_, "m.safetensors", exported, {});
  const Experiment e = load(replaced(
      replaced(kMinimal, "  layers:\n    - flatten\n    - linear: {units: classes}\n", "  config: m.safetensors\n"),
      "classes: 10", "classes: 4"));
  EXPECT_EQ(e.model.weights, (directory_ / "m.safetensors").string());
  EXPECT_FALSE(open_network("m.safetensors").network.config.weights);
}

TEST_F(TensorFilesTest, AForeignNetworkOfAnExperimentReadsNoEnvironment) {
  const Network before = network();
  auto metadata = describe_network(before.config, before.sample, {}, {});
  metadata["convoy.model"] = "name: ${env:HOME}\nclasses: 4\nlayers: [flatten, linear: {units: 4}]\n";
  write_safetensors(files_, "m.safetensors", {}, metadata);
  const std::string message = error_of(
      replaced(kMinimal, "  layers:\n    - flatten\n    - linear: {units: classes}\n", "  config: m.safetensors\n"));
  EXPECT_NE(message.find("m.safetensors: name: found ${"), std::string::npos) << message;
}

TEST_F(TensorFilesTest, KnowsModelsByTheirContent) {
  write_network(files_, "m.safetensors", network(), {});
  std::filesystem::rename("m.safetensors", "bare");
  EXPECT_TRUE(names_foreign_model("bare"));
  write("x.yaml", kMinimal);
  EXPECT_FALSE(names_foreign_model("x.yaml"));
  EXPECT_FALSE(names_foreign_model("absent.yaml"));
}

TEST_F(TensorFilesTest, KnowsFormatsByTheEndOfTheName) {
  EXPECT_THROW(require_known_format("m.pt"), Error);
  EXPECT_THROW(require_known_format("safetensors"), Error);
  require_known_format("a.b.safetensors");
}

TEST_F(TensorFilesTest, WhatAFileHasNotStartsAsTheLayersAsk) {
  const Network before = network();
  const ForeignModel file = [&] {
    write_network(files_, "m.safetensors", before, {});
    return read_model_file("m.safetensors");
  }();
  std::vector<NamedTensor> tensors;
  for (const ForeignTensor& it : file.tensors) {
    if (!it.name.starts_with("c.")) continue;
    tensors.push_back({it.name, StoredType::kF32, it.tensor.dims, std::as_bytes(std::span(it.tensor.values))});
  }
  write_safetensors(files_, "part.safetensors", tensors,
                    {{"format", "convoy"}, {"convoy.model", kModel}, {"convoy.shape", "[3, 2, 2]"}});
  EXPECT_EQ(error_of_opening("part.safetensors").code(), ExitCode::kBadData);
  const OpenedNetwork opened = open_network("part.safetensors", {.partial = true});
  EXPECT_EQ(opened.network.weights.size(), before.weights.size());
  EXPECT_EQ(opened.network.weights.at("c.weight"), before.weights.at("c.weight"));
  EXPECT_EQ(opened.network.weights.at("n.running_variance"), std::vector<float>(3, 1));
  EXPECT_NE(opened.network.weights.at("fc.weight"), std::vector<float>(48, 0));
  write_network(files_, "whole.safetensors", opened.network, {});
  EXPECT_EQ(open_network("whole.safetensors").network.weights, opened.network.weights);
}

}  // namespace
}  // namespace convoy
