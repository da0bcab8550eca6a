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
    const ForeignModel model = from_keras(to_keras(network, {.probabilities = true}, format));
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
    const KerasFile file = to_keras(network_of(kText, sample), {}, KerasFormat::kLegacyModel);
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
  const ForeignModel model = from_keras(to_keras(network, {}, KerasFormat::kKeras));
  ASSERT_TRUE(model.preprocessing.has_value());
  EXPECT_EQ(to_json(*model.preprocessing), to_json(*network.preprocessing));
  EXPECT_EQ(model.class_names, network.class_names);
}

TEST(KerasExport, TrainingComesBack) {
  Network network = network_of(kText, {1, 9, 9, 2});
  TrainingState& training = network.training.emplace();
  training.optimizer.learning_rate = 0.25;
  training.optimizer.momentum = 0.5;
  training.step = 12;
  for (const char* name : {"a.conv.weight", "a.conv.bias", "fc.weight", "fc.bias"}) {
    training.slots[std::string(name) + ".momentum"] = network.weights.at(name);
  }
  for (const KerasFormat format : {KerasFormat::kLegacyModel, KerasFormat::kKeras}) {
    const ForeignModel model = from_keras(to_keras(network, {.probabilities = true}, format));
    ASSERT_TRUE(model.training.has_value());
    const Network again = network_of(model.model, {1, 9, 9, 2});
    const TrainingState state = match_training(weight_places(again.model.graph), model);
    EXPECT_EQ(state.step, 12);
    EXPECT_EQ(state.optimizer.momentum, 0.5);
    EXPECT_EQ(state.slots.at("fc.weight.momentum"), network.weights.at("fc.weight"));
  }
}

}  // namespace
}  // namespace convoy
