#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launcher/config/parts.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"

namespace convoy {
namespace {

// Weights 0, 1, 2, … in our order.
Network network_of(const std::string& text, const Shape& sample) {
  Network network;
  network.config = parse_model(text, "net.yaml");
  network.config.name = "net";
  network.sample = sample;
  network.model = build_model(network.config, {}, sample, {.training = false, .normalize = false, .rewrite = false});
  for (const WeightPlace& place : weight_places(network.model.graph)) {
    std::vector<float>& values = network.weights[place.name];
    for (int64_t i = 0; i < place.shape.elements(); ++i) values.push_back(static_cast<float>(i));
  }
  return network;
}

KerasFile written(const Network& network, const ExportOptions& options, KerasFormat format) {
  std::vector<std::string> notes;
  KerasFile file = to_keras(network, options, format, notes);
  EXPECT_TRUE(notes.empty());
  return file;
}

std::vector<nlohmann::json> layers_of(const KerasFile& file) {
  return nlohmann::json::parse(file.model_config)["config"]["layers"];
}

// One layer on 6x6x2 images, and what follows it: the layers behind the InputLayer.
std::vector<nlohmann::json> layers_for(const std::string& layer) {
  const std::string text = "classes: 3\nlayers:\n  - " + layer + "\n  - flatten\n  - linear: {units: 3}\n";
  std::vector<nlohmann::json> layers =
      layers_of(written(network_of(text, {1, 6, 6, 2}), {}, KerasFormat::kLegacyModel));
  layers.erase(layers.begin());
  return layers;
}

std::string failure_of(const std::string& layer) {
  try {
    layers_for(layer);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    return error.what();
  }
  return "";
}

const char* const kText = R"(classes: 3
layers:
  - conv2d: {name: a.conv, filters: 2, kernel: 3, padding: 1, stride: 2}
  - relu: {name: a.conv.relu}
  - max_pool: {kernel: 3, stride: 2, padding: 1}
  - flatten
  - linear: {name: fc, units: 3}
)";

TEST(KerasExport, ReadsBackAsItWas) {
  const Network network = network_of(kText, {1, 9, 9, 2});
  for (const KerasFormat format : {KerasFormat::kLegacyModel, KerasFormat::kKeras}) {
    const ForeignModel model = from_keras(written(network, {.probabilities = true}, format));
    EXPECT_EQ(model.classes, 3);
    const Network again = network_of(model.model, {1, 9, 9, 2});
    const MatchedWeights matched = match_weights(weight_places(again.model.graph), model);
    EXPECT_TRUE(matched.missing.empty());
    EXPECT_EQ(matched.weights.at("fc.weight"), network.weights.at("fc.weight"));
    EXPECT_EQ(matched.weights.at("a_conv.weight"), network.weights.at("a.conv.weight"));
  }
}

// 9x9 with kernel 3, stride 2 and padding 1 is what Keras calls same; on 8x8 it is not.
TEST(KerasExport, PaddingThatKerasHasNoWordForIsALayer) {
  const auto classes_of = [](const Shape& sample) {
    const KerasFile file = written(network_of(kText, sample), {}, KerasFormat::kLegacyModel);
    std::vector<std::string> out;
    const auto config = nlohmann::json::parse(file.model_config);
    for (const auto& layer : config["config"]["layers"]) out.push_back(layer["class_name"]);
    return out;
  };
  EXPECT_EQ(classes_of({1, 9, 9, 2}),
            (std::vector<std::string>{"InputLayer", "Conv2D", "MaxPooling2D", "Flatten", "Dense"}));
  EXPECT_EQ(classes_of({1, 8, 8, 2}), (std::vector<std::string>{"InputLayer", "ZeroPadding2D", "Conv2D",
                                                                "ZeroPadding2D", "MaxPooling2D", "Flatten", "Dense"}));
}

TEST(KerasExport, PreprocessingAndClassNamesComeBack) {
  Network network = network_of(kText, {1, 9, 9, 2});
  network.preprocessing = named_preprocessing("tf");
  network.class_names = {"cat", "dog", "emu"};
  const ForeignModel model = from_keras(written(network, {}, KerasFormat::kKeras));
  ASSERT_TRUE(model.preprocessing.has_value());
  EXPECT_EQ(to_json(*model.preprocessing), to_json(*network.preprocessing));
  EXPECT_EQ(model.class_names, network.class_names);
}

TEST(KerasExport, TrainingComesBack) {
  Network network = network_of(kText, {1, 9, 9, 2});
  TrainingState& training = network.training.emplace();
  training.optimizer.learning_rate.base = 0.25;
  training.optimizer.momentum = 0.5;
  training.step = 12;
  for (const char* name : {"a.conv.weight", "a.conv.bias", "fc.weight", "fc.bias"}) {
    training.slots[std::string(name) + ".momentum"] = network.weights.at(name);
  }
  for (const KerasFormat format : {KerasFormat::kLegacyModel, KerasFormat::kKeras}) {
    const ForeignModel model = from_keras(written(network, {.probabilities = true}, format));
    ASSERT_TRUE(model.training.has_value());
    const Network again = network_of(model.model, {1, 9, 9, 2});
    const TrainingState state = match_training(weight_places(again.model.graph), model);
    EXPECT_EQ(state.step, 12);
    EXPECT_EQ(state.optimizer.momentum, 0.5);
    EXPECT_EQ(state.slots.at("fc.weight.momentum"), network.weights.at("fc.weight"));
  }
}

TEST(KerasExport, AdamWComesBackWithItsDecay) {
  Network network = network_of(kText, {1, 9, 9, 2});
  TrainingState& training = network.training.emplace();
  training.optimizer.type = OptimizerType::kAdamw;
  training.optimizer.weight_decay = 0.125;
  training.optimizer.decay_vectors = true;
  training.step = 12;
  for (const char* name : {"a.conv.weight", "a.conv.bias", "fc.weight", "fc.bias"}) {
    for (const char* kind : {".mean", ".variance"}) training.slots[std::string(name) + kind] = network.weights.at(name);
  }
  std::vector<std::string> notes;
  const ForeignModel model = from_keras(to_keras(network, {}, KerasFormat::kKeras, notes));
  EXPECT_TRUE(notes.empty()) << notes[0];
  ASSERT_TRUE(model.training.has_value());
  EXPECT_EQ(model.training->optimizer.type, OptimizerType::kAdamw);
  EXPECT_EQ(model.training->optimizer.weight_decay, 0.125);
  EXPECT_TRUE(model.training->optimizer.decay_vectors);
  EXPECT_EQ(model.training->step, 12);
  EXPECT_EQ(model.training->slots.size(), 8U);
  network.training->optimizer.decay_vectors = false;
  to_keras(network, {}, KerasFormat::kKeras, notes);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0], "in fit() Keras' AdamW decays biases and norms too");
}

TEST(KerasExport, LossesComeBackFromLogits) {
  Network network = network_of(kText, {1, 9, 9, 2});
  TrainingState& training = network.training.emplace();
  training.optimizer.learning_rate = {0.25};
  std::vector<std::string> notes;
  const auto again = [&](const LossConfig& loss, bool probabilities) {
    training.loss = loss;
    notes.clear();
    return from_keras(to_keras(network, {.probabilities = probabilities}, KerasFormat::kKeras, notes)).loss;
  };
  for (const bool probabilities : {false, true}) {
    const LossConfig smoothed{.label_smoothing = 0.1, .class_weights = {1, 2, 3}};
    EXPECT_EQ(again(smoothed, probabilities)->label_smoothing, 0.1);
    ASSERT_EQ(notes.size(), 2U);
    EXPECT_EQ(notes[0], "in fit() Keras' loss wants one-hot labels");
    EXPECT_TRUE(notes[1].starts_with("the loss' class_weights are left out")) << notes[1];
  }
  for (const LossType type : {LossType::kBinaryCrossEntropy, LossType::kMeanSquaredError}) {
    LossConfig plain;
    plain.type = type;
    EXPECT_EQ(again(plain, false)->type, type);
    EXPECT_EQ(notes, std::vector<std::string>{"in fit() Keras' loss wants one-hot labels"});
    EXPECT_FALSE(again(plain, true));
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_TRUE(notes[0].starts_with("the loss is left out")) << notes[0];
  }
}

TEST(KerasExport, RmspropIsLeftOutAndSaysSo) {
  Network network = network_of(kText, {1, 9, 9, 2});
  network.training.emplace().optimizer.type = OptimizerType::kRmsprop;
  std::vector<std::string> notes;
  const KerasFile file = to_keras(network, {}, KerasFormat::kKeras, notes);
  EXPECT_TRUE(file.training_config.empty());
  EXPECT_TRUE(file.optimizer.empty());
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_TRUE(notes[0].starts_with("the optimizer is left out")) << notes[0];
}

// Keras cannot go on from a legacy file with optimizer weights, so there are none where they would say nothing.
TEST(KerasExport, PlainSgdHasNoWeightsInALegacyFile) {
  Network network = network_of(kText, {1, 9, 9, 2});
  network.training.emplace().optimizer.learning_rate.base = 0.25;
  network.training->step = 3;
  const KerasFile legacy = written(network, {}, KerasFormat::kLegacyModel);
  EXPECT_TRUE(legacy.optimizer.empty());
  EXPECT_FALSE(legacy.training_config.empty());
  EXPECT_EQ(written(network, {}, KerasFormat::kKeras).optimizer.size(), 2U);  // iteration and learning rate
}

TEST(KerasExport, TransposedConvolutionsWhereTheyAreTheSame) {
  const auto config = [](const std::string& options) {
    const nlohmann::json layer = layers_for("conv_transpose: {name: up, filters: 2, " + options + "}")[0];
    EXPECT_EQ(layer["class_name"], "Conv2DTranspose");
    return layer["config"];
  };
  EXPECT_EQ(config("kernel: 3, stride: 2, padding: same")["padding"], "same");
  EXPECT_EQ(config("kernel: 4, stride: 2, padding: 1")["padding"], "same");  // 6 to 12 from 1 on both sides
  EXPECT_EQ(config("kernel: 2, stride: 2")["padding"], "same");              // the same as valid
  EXPECT_EQ(config("kernel: 3, stride: 2")["padding"], "valid");
  EXPECT_TRUE(config("kernel: 3, stride: 2")["output_padding"].is_null());
  EXPECT_EQ(config("kernel: 3, stride: 2, output_padding: 1")["output_padding"], nlohmann::json({1, 1}));
  EXPECT_TRUE(
      config("kernel: 2, stride: 3, output_padding: 1")["output_padding"].is_null());  // as Keras does by itself
  EXPECT_EQ(failure_of("conv_transpose: {name: up, filters: 2, kernel: 3, stride: 2, padding: 1, output_padding: 1}"),
            "layer 'up' (conv_transpose) cannot be written for Keras: its padding is neither `same` nor none");
}

constexpr const char* kSeparable = R"(classes: 3
layers:
  - conv2d: {name: s.depthwise, filters: 4, groups: 2, kernel: 3, stride: 2, padding: same, bias: false}
  - conv2d: {name: s.pointwise, filters: 5, kernel: 1}
  - relu: {name: s.relu}
  - flatten
  - linear: {name: fc, units: 3}
)";

// Keras finds weights by class: two layers in the place of one would be in its way.
TEST(KerasExport, SeparableConvolutionsAreOneLayer) {
  const Network network = network_of(kSeparable, {1, 6, 6, 2});
  const std::vector<nlohmann::json> layers = layers_of(written(network, {}, KerasFormat::kKeras));
  ASSERT_EQ(layers.size(), 4U);
  EXPECT_EQ(layers[1]["class_name"], "SeparableConv2D");
  EXPECT_EQ(layers[1]["config"]["name"], "s");
  EXPECT_EQ(layers[1]["config"]["depth_multiplier"], 2);
  EXPECT_EQ(layers[1]["config"]["activation"], "relu");
  for (const KerasFormat format : {KerasFormat::kLegacyModel, KerasFormat::kKeras, KerasFormat::kWeights}) {
    const KerasFile file = written(network, {}, format);
    const KerasLayer& layer = file.layers.front();
    ASSERT_EQ(layer.weights.size(), 3U);
    EXPECT_EQ(layer.weights[0].dims, (std::vector<int64_t>{3, 3, 2, 2}));
    EXPECT_EQ(layer.weights[1].dims, (std::vector<int64_t>{1, 1, 4, 5}));
    const MatchedWeights matched = match_weights(weight_places(network.model.graph), from_keras(file));
    EXPECT_TRUE(matched.missing.empty());
    EXPECT_EQ(matched.weights, network.weights);
  }
}

TEST(KerasExport, AdaptivePoolsThatKerasHas) {
  EXPECT_EQ(layers_for("adaptive_average_pool: {size: 6}")[0]["class_name"], "Flatten");
  EXPECT_EQ(layers_for("adaptive_average_pool: {size: 1}")[0]["class_name"], "GlobalAveragePooling2D");
  const nlohmann::json pool = layers_for("adaptive_average_pool: {size: [3, 2]}")[0];
  EXPECT_EQ(pool["class_name"], "AveragePooling2D");
  EXPECT_EQ(pool["config"]["pool_size"], nlohmann::json({2, 3}));
  EXPECT_EQ(pool["config"]["strides"], nlohmann::json({2, 3}));
  EXPECT_EQ(
      failure_of("adaptive_average_pool: {name: a, size: 4}"),
      "layer 'a' (adaptive_average_pool) cannot be written for Keras: its input of 6x6 is no multiple of its output");
  EXPECT_EQ(failure_of("lrn: {name: l}"), "layer 'l' (lrn) cannot be written for Keras: Keras has no such layer");
}

TEST(KerasExport, SaysWhatKerasDoesOtherwise) {
  Network network = network_of(R"(classes: 3
layers:
  - batch_norm: {name: frozen, trainable: false}
  - batch_norm: {name: infers, inference: true}
  - batch_norm: {name: both, inference: true, trainable: false}
  - batch_norm: {name: neither}
  - flatten
  - linear: {units: 3}
)",
                               {1, 2, 2, 2});
  network.training.emplace().optimizer.weight_decay = 0.1;
  std::vector<std::string> notes;
  to_keras(network, {}, KerasFormat::kKeras, notes);
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_TRUE(notes[0].ends_with(": 'frozen'")) << notes[0];
  EXPECT_TRUE(notes[1].ends_with(": 'infers'")) << notes[1];
  EXPECT_TRUE(notes[2].starts_with("the optimizer's weight_decay is left out")) << notes[2];
}

}  // namespace
}  // namespace convoy
