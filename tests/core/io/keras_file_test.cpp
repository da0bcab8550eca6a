// Files by Keras itself, see tests/oracles/keras_files.py; Keras reads ours in tests/oracles/keras_reads.py.
#include "core/io/keras_file.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "core/base/file.h"
#include "core/io/zip.h"
#include "core/io/zip_writer.h"
#include "tests/core/base/testing.h"
#include "tests/core/io/zipped_files.h"

namespace convoy {
namespace {

const ZippedFiles& files() {
  static const ZippedFiles files(CONVOY_TEST_FILES "/keras.zip");
  return files;
}

// Element i of weight number w is w + i/64.
void expect_values(const HostTensor& tensor, size_t number) {
  for (size_t i = 0; i < tensor.values.size(); ++i)
    ASSERT_EQ(tensor.values[i], static_cast<float>(number) + static_cast<float>(i) / 64) << tensor.name << " " << i;
}

std::map<std::string, const KerasLayer*> by_path(const KerasFile& file) {
  std::map<std::string, const KerasLayer*> layers;
  for (const KerasLayer& layer : file.layers) layers[layer.path] = &layer;
  EXPECT_EQ(layers.size(), file.layers.size()) << "paths differ";
  return layers;
}

std::vector<std::string> names(const KerasFile& file) {
  std::vector<std::string> names;
  for (const KerasLayer& layer : file.layers) names.push_back(layer.name);
  return names;
}

std::vector<std::string> names(const std::vector<HostTensor>& tensors) {
  std::vector<std::string> names;
  for (const HostTensor& tensor : tensors) names.push_back(tensor.name);
  return names;
}

using Names = std::vector<std::string>;

TEST(KerasFile, ReadsALegacyModel) {
  const KerasFile file = read_keras(files() / "plain.h5");
  EXPECT_EQ(file.format, KerasFormat::kLegacyModel);
  EXPECT_EQ(file.keras_version.substr(0, 2), "3.");
  EXPECT_EQ(nlohmann::json::parse(file.model_config)["config"]["name"], "plain");
  EXPECT_EQ(nlohmann::json::parse(file.training_config)["loss"], "sparse_categorical_crossentropy");
  EXPECT_EQ(names(file), (Names{"first", "norm", "pool", "second", "flat", "drop", "head"}));
  EXPECT_EQ(names(file.layers[0].weights), (Names{"plain/first/kernel", "plain/first/bias"}));
  EXPECT_EQ(names(file.layers[1].weights),
            (Names{"plain/norm/gamma", "plain/norm/beta", "plain/norm/moving_mean", "plain/norm/moving_variance"}));
  EXPECT_EQ(file.layers[0].weights[0].dims, (std::vector<int64_t>{3, 3, 3, 2}));
  EXPECT_EQ(file.layers[2].weights.size(), 0u);
  size_t number = 0;
  for (const KerasLayer& layer : file.layers)
    for (const HostTensor& weight : layer.weights) expect_values(weight, number++);
  EXPECT_EQ(number, 10u);
  ASSERT_EQ(file.optimizer.size(), 10u);
  EXPECT_EQ(file.optimizer[0].name, "sgd/iteration");
  EXPECT_EQ(file.optimizer[2].name, "sgd/plain_first_kernel_momentum");
  expect_values(file.optimizer[9], 9);
}

// In these formats layers go by class, and their names are attributes.
void expect_plain_vars(const KerasFile& file, bool with_names) {
  const auto layers = by_path(file);
  const std::map<std::string, std::string> expected = {{"batch_normalization", "norm"},
                                                       {"conv2d", "first"},
                                                       {"conv2d_1", "second"},
                                                       {"dense", "head"},
                                                       {"dropout", "drop"},
                                                       {"flatten", "flat"},
                                                       {"max_pooling2d", "pool"}};
  const std::map<std::string, size_t> first_weight = {
      {"batch_normalization", 2}, {"conv2d", 0}, {"conv2d_1", 6}, {"dense", 8}};
  EXPECT_EQ(layers.size(), expected.size());
  for (const auto& [path, name] : expected) {
    ASSERT_TRUE(layers.contains(path)) << path;
    const KerasLayer& layer = *layers.at(path);
    EXPECT_EQ(layer.name, with_names ? name : "");
    EXPECT_EQ(layer.weights.empty(), !first_weight.contains(path)) << path;
    for (size_t i = 0; i < layer.weights.size(); ++i) {
      EXPECT_EQ(layer.weights[i].name, std::to_string(i));
      expect_values(layer.weights[i], first_weight.at(path) + i);
    }
  }
  EXPECT_EQ(layers.at("batch_normalization")->weights.size(), 4u);
}

TEST(KerasFile, ReadsWeightsOfKeras3) {
  const KerasFile file = read_keras(files() / "plain.weights.h5");
  EXPECT_EQ(file.format, KerasFormat::kWeights);
  EXPECT_EQ(file.model_config, "");
  expect_plain_vars(file, true);
}

TEST(KerasFile, ReadsArchivesStoredAndDeflated) {
  for (const char* name : {"plain.keras", "deflated.keras"}) {
    const KerasFile file = read_keras(files() / name);
    EXPECT_EQ(file.format, KerasFormat::kKeras);
    EXPECT_EQ(file.keras_version.substr(0, 2), "3.");
    EXPECT_EQ(nlohmann::json::parse(file.model_config)["class_name"], "Sequential");
    EXPECT_EQ(nlohmann::json::parse(file.training_config)["optimizer"]["class_name"], "SGD");
    expect_plain_vars(file, true);
    ASSERT_EQ(file.optimizer.size(), 10u);
    for (size_t i = 0; i < file.optimizer.size(); ++i) EXPECT_EQ(file.optimizer[i].name, std::to_string(i));
    expect_values(file.optimizer[9], 9);
  }
}

TEST(KerasFile, ReadsWeightsOfTensorFlow213) {
  const KerasFile file = read_keras(files() / "old.weights.h5");
  EXPECT_EQ(file.format, KerasFormat::kWeights);
  const auto layers = by_path(file);
  ASSERT_TRUE(layers.contains("conv2d_1"));
  EXPECT_EQ(layers.at("conv2d_1")->name, "");
  expect_values(layers.at("conv2d_1")->weights.at(0), 6);
}

TEST(KerasFile, ReadsBfloat16) {
  const KerasFile file = read_keras(files() / "bfloat16.weights.h5");
  const HostTensor& bias = by_path(file).at("dense")->weights.at(1);
  EXPECT_EQ(bias.dims, std::vector<int64_t>{3});
  EXPECT_EQ(bias.values, (std::vector<float>{9, 9, 9})) << "9 + i/64, of 8 bits";
  expect_values(by_path(file).at("conv2d")->weights.at(0), 0);
}

TEST(KerasFile, ReadsNestedModels) {
  const KerasFile legacy = read_keras(files() / "nested.h5");
  ASSERT_EQ(names(legacy), (Names{"input_layer_2", "base", "flat", "head"}));
  EXPECT_EQ(names(legacy.layers[1].weights),
            (Names{"conv/kernel", "conv/bias", "norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"}))
      << "one layer, the trainable ones first";
  const KerasFile archive = read_keras(files() / "nested.keras");
  const auto layers = by_path(archive);
  ASSERT_TRUE(layers.contains("functional/conv2d") && layers.contains("functional") && layers.contains("dense"));
  EXPECT_EQ(layers.at("functional")->name, "base");
  EXPECT_EQ(layers.at("functional/conv2d")->name, "conv");
  EXPECT_EQ(layers.at("functional/batch_normalization")->weights.size(), 4u);
  EXPECT_EQ(archive.training_config, "");
}

TEST(KerasFile, ReadsKeras1) {
  const KerasFile file = read_keras(files() / "keras1.h5");
  EXPECT_EQ(file.format, KerasFormat::kLegacyWeights);
  EXPECT_EQ(file.keras_version, "");
  EXPECT_EQ(names(file), (Names{"block1_conv1", "block1_pool", "fc1"}));
  EXPECT_EQ(names(file.layers[0].weights), (Names{"block1_conv1_W_1:0", "block1_conv1_b_1:0"}));
  EXPECT_EQ(file.layers[2].weights[0].dims, (std::vector<int64_t>{2, 5}));
  EXPECT_EQ(file.layers[2].weights[0].values[9], 2);
}

TEST(KerasFile, ReadsListsCutUp) {
  const KerasFile file = read_keras(files() / "split.h5");
  ASSERT_EQ(file.layers.size(), 1u);
  ASSERT_EQ(file.layers[0].weights.size(), 64u);
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(file.layers[0].weights[i].values[0], static_cast<float>(i));
}

void expect_same(const std::vector<HostTensor>& read, const std::vector<HostTensor>& written) {
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].name, written[i].name);
    EXPECT_EQ(read[i].dims, written[i].dims);
    EXPECT_EQ(read[i].values, written[i].values);
  }
}

nlohmann::json parsed(const std::string& text) { return text.empty() ? "" : nlohmann::json::parse(text); }

TEST(KerasFile, WritesWhatItRead) {
  const TempDirectory temp;
  for (const char* name : {"plain.h5", "plain.weights.h5", "plain.keras", "nested.h5", "nested.keras", "keras1.h5",
                           "split.h5", "bfloat16.weights.h5"}) {
    const KerasFile file = read_keras(files() / name);
    write_keras(temp / name, file);
    const KerasFile again = read_keras(temp / name);
    EXPECT_EQ(again.format, file.format);
    EXPECT_EQ(again.keras_version, file.keras_version);
    EXPECT_EQ(parsed(again.model_config), parsed(file.model_config));
    EXPECT_EQ(again.training_config, file.training_config);
    ASSERT_EQ(again.layers.size(), file.layers.size());
    for (size_t i = 0; i < file.layers.size(); ++i) {
      EXPECT_EQ(again.layers[i].name, file.layers[i].name);
      EXPECT_EQ(again.layers[i].path, file.layers[i].path);
      expect_same(again.layers[i].weights, file.layers[i].weights);
    }
    expect_same(again.optimizer, file.optimizer);
  }
}

TEST(KerasFile, WritesArchivesAsKerasDoes) {
  const TempDirectory temp;
  write_keras(temp / "f.keras", read_keras(files() / "plain.keras"));
  const ZipArchive archive(temp / "f.keras");
  ASSERT_EQ(archive.members().size(), 3u);
  EXPECT_EQ(archive.members()[0].name, "metadata.json");
  EXPECT_EQ(archive.members()[1].name, "config.json");
  EXPECT_EQ(archive.members()[2].name, "model.weights.h5");
  for (const ZipMember& member : archive.members()) EXPECT_FALSE(member.deflated);
}

TEST(KerasFile, RefusesOthers) {
  const TempDirectory temp;
  Hdf5File other;
  other.path = "other";
  other.groups = {{"/", {}}, {"/data", {}}};
  write_hdf5(temp / "other.h5", other);
  expect_error(ExitCode::kBadData, {"other.h5: expected weights by Keras"}, [&] { read_keras(temp / "other.h5"); });
  other.groups = {{"/", {{"layer_names", true, {"a"}}}}, {"/a", {{"weight_names", true, {"a/w", "a/w"}}}}};
  write_hdf5(temp / "missing.h5", other);
  expect_error(ExitCode::kBadData, {"missing.h5: /a/a/w: weight_names lists it"},
               [&] { read_keras(temp / "missing.h5"); });
  other.datasets = {{"/a/a/w", {1}, {1}}};
  write_hdf5(temp / "twice.h5", other);
  expect_error(ExitCode::kBadData, {"twice.h5: /a/a/w: weight_names lists it"}, [&] { read_keras(temp / "twice.h5"); });
  other.groups = {{"/", {{"layer_names", true, {"a"}}}}};
  other.datasets = {};
  write_hdf5(temp / "group.h5", other);
  expect_error(ExitCode::kBadData, {"group.h5: /a: expected a group"}, [&] { read_keras(temp / "group.h5"); });
  // Recursion over a configuration as deep as this would run out of stack.
  PosixFileSystem system;
  const std::string deep =
      R"({"compile_config": {"a": )" + std::string(5'000'000, '[') + std::string(5'000'000, ']') + "}}";
  const auto bytes = [](const std::string& text) {
    return std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  const auto out = system.create(temp / "deep.keras");
  ZipWriter archive(*out, "deep.keras");
  archive.add("metadata.json", bytes("{}"));
  archive.add("config.json", bytes(deep));
  archive.finish();
  out->close();
  expect_error(ExitCode::kBadData, {"deep.keras: member 'config.json': deeper than 200 levels"},
               [&] { read_keras(temp / "deep.keras"); });
  put_file(temp / "f.keras", "PK\3\4 and no more");
  expect_error(ExitCode::kBadData, {"f.keras: "}, [&] { read_keras(temp / "f.keras"); });
  expect_error(ExitCode::kNoInput, {"none.keras"}, [&] { read_keras(temp / "none.keras"); });
}

}  // namespace
}  // namespace convoy
