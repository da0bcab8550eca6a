#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launcher/exchange/keras_graph.h"
#include "launcher/exchange/readers.h"
#include "tests/launcher/exchange/keras_files.h"

namespace convoy {
namespace {

std::string error_of(const std::string& model_config, ExitCode code, const std::string& version = "3.15.1") {
  try {
    from_keras(keras_model(model_config, version));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(KerasImport, SequentialBecomesAModelFile) {
  const ForeignModel model = from_keras(keras_model(sequential(
      keras_layer("Conv2D", "conv", R"("filters": 4, "kernel_size": [3, 2], "strides": [2, 2], "padding": "same",
                                       "activation": "relu")") +
      ", " + keras_layer("BatchNormalization", "bn", R"("momentum": 0.99, "epsilon": 0.001)") + ", " +
      keras_layer("MaxPooling2D", "pool", R"("pool_size": [2, 2])") + ", " + keras_layer("Flatten", "flatten") + ", " +
      keras_layer("Dense", "dense", R"("units": 5, "activation": "softmax")"))));
  EXPECT_EQ(model.model, R"(name: net
classes: 5
layers:
  - conv2d: {name: conv, filters: 4, kernel: [3, 2], stride: 2, padding: same}
  - relu: {name: conv.relu}
  - batch_norm: {name: bn, epsilon: 0.001, momentum: 0.01}
  - max_pool: {name: pool, kernel: 2}
  - flatten: {name: flatten}
  - linear: {name: dense, units: 5}
)");
  EXPECT_EQ(model.shape, (std::array<int, 3>{8, 9, 3}));
  EXPECT_EQ(model.classes, 5);
  ASSERT_EQ(model.training_notes.size(), 1);
  EXPECT_NE(model.training_notes[0].find("the softmax at the end ('dense.softmax') is left out"), std::string::npos);
}

TEST(KerasImport, KerasOnesNames) {
  const std::string config = R"({"class_name": "Sequential", "config": [
    {"class_name": "Convolution2D", "config": {"name": "c", "batch_input_shape": [null, 8, 8, 1], "nb_filter": 2,
     "nb_row": 3, "nb_col": 3, "border_mode": "same", "subsample": [1, 1], "dim_ordering": "tf", "bias": false}},
    {"class_name": "Dropout", "config": {"name": "drop", "p": 0.25}}, {"class_name": "Flatten", "config": {"name": "f"}},
    {"class_name": "Dense", "config": {"name": "d", "output_dim": 3}}]})";
  EXPECT_EQ(from_keras(keras_model(config, "")).model, R"(classes: 3
layers:
  - conv2d: {name: c, filters: 2, kernel: 3, padding: same, bias: false}
  - dropout: {name: drop, rate: 0.25}
  - flatten: {name: f}
  - linear: {name: d, units: 3}
)");
}

// Of Keras 2 as lists, of Keras 3 as tensors with a history.
TEST(KerasImport, FunctionalOfBothGenerations) {
  const auto functional = [](const std::string& one, const std::string& both, const std::string& sum) {
    return R"({"class_name": "Functional", "config": {"name": "f", "layers": [
      {"class_name": "InputLayer", "name": "i", "config": {"name": "i", "batch_shape": [null, 4, 4, 2]}, "inbound_nodes": []},
      {"class_name": "ReLU", "name": "r", "config": {"name": "r"}, "inbound_nodes": )" +
           one + R"(}, {"class_name": "Add", "name": "a", "config": {"name": "a"}, "inbound_nodes": )" + both +
           R"(}, {"class_name": "GlobalAveragePooling2D", "name": "g", "config": {"name": "g"}, "inbound_nodes": )" +
           sum + R"(}], "input_layers": [["i", 0, 0]], "output_layers": [["g", 0, 0]]}})";
  };
  const auto tensor = [](const std::string& layer) {
    return R"({"class_name": "__keras_tensor__", "config": {"shape": [null, 4, 4, 2], "keras_history": [")" + layer +
           R"(", 0, 0]}})";
  };
  const std::string two =
      functional(R"([[["i", 0, 0, {}]]])", R"([[["r", 0, 0, {}], ["i", 0, 0, {}]]])", R"([[["a", 0, 0, {}]]])");
  const std::string three = functional(R"([{"args": [)" + tensor("i") + R"(], "kwargs": {}}])",
                                       R"([{"args": [[)" + tensor("r") + "," + tensor("i") + R"(]], "kwargs": {}}])",
                                       R"([{"args": [)" + tensor("a") + R"(], "kwargs": {}}])");
  const std::string expected = R"(name: f
classes: 2
layers:
  - relu: {name: r}
  - add: {name: a, inputs: [r, image]}
  - global_average: {name: g}
)";
  EXPECT_EQ(from_keras(keras_model(two, "2.4.0")).model, expected);
  EXPECT_EQ(from_keras(keras_model(three)).model, expected);
}

TEST(KerasImport, ScalingAtTheFrontIsPreprocessing) {
  const ForeignModel model = from_keras(
      keras_model(sequential(keras_layer("Rescaling", "r", R"("scale": 0.00784313725490196, "offset": -1.0)") + ", " +
                             keras_layer("GlobalAveragePooling2D", "g"))));
  ASSERT_TRUE(model.preprocessing.has_value());
  ASSERT_EQ(model.preprocessing->mean.size(), 1);
  EXPECT_NEAR(model.preprocessing->mean[0], 0.5, 1e-9);
  EXPECT_NEAR(model.preprocessing->std[0], 0.5, 1e-9);
}

TEST(KerasImport, WhatConvoyHasNotIsAnErrorThatNamesTheLayer) {
  EXPECT_EQ(error_of(sequential(keras_layer("Lambda", "l")), ExitCode::kConfig),
            "m.h5: layer 'l' (Lambda): holds code, which Convoy does not run");
  EXPECT_EQ(error_of(sequential(keras_layer("LSTM", "l")), ExitCode::kConfig),
            "m.h5: layer 'l' (LSTM): Convoy has no layer of this class");
  error_of(sequential(keras_layer("Conv2D", "c", R"("filters": 1, "kernel_size": 3, "data_format": "channels_first")")),
           ExitCode::kConfig);
  error_of(sequential(keras_layer("Activation", "a", R"("activation": "hard_sigmoid")")), ExitCode::kConfig, "2.4.0");
}

TEST(KerasImport, WhatIsNoConfigurationIsBadData) {
  EXPECT_EQ(error_of("{", ExitCode::kBadData), "m.h5: model_config: not JSON");
  error_of(std::string(1000, '['), ExitCode::kBadData);
  error_of("[]", ExitCode::kBadData);
  error_of(sequential(keras_layer("Conv2D", "c", R"("filters": "many", "kernel_size": 3)")), ExitCode::kBadData);
  error_of(sequential(keras_layer("ReLU", "r") + ", " + keras_layer("ReLU", "r")), ExitCode::kBadData);
}

TEST(KerasImport, BoundsWhatAConfigurationCanAskFor) {
  const std::string huge = keras_layer("Dense", "d", R"("units": 16777216)");
  EXPECT_EQ(
      error_of(sequential(huge + ", " + keras_layer("LayerNormalization", "n", R"("scale": false)")),
               ExitCode::kConfig),
      "m.h5: layer 'n' (LayerNormalization): Convoy has no normalisation of so many channels without a parameter");
  EXPECT_EQ(error_of(sequential(keras_layer(std::string(2000, 'C'), "c")), ExitCode::kBadData),
            "m.h5: model_config: a layer or its class has a name of more than 1000 characters");
}

TEST(KerasImport, NamesGroupsAsKerasDoes) {
  EXPECT_EQ(keras_snake_case("Conv2DTranspose"), "conv2d_transpose");
  EXPECT_EQ(keras_snake_case("MaxPooling2D"), "max_pooling2d");
  EXPECT_EQ(keras_snake_case("ReLU"), "re_lu");
  EXPECT_EQ(keras_snake_case("LeakyReLU"), "leaky_re_lu");
  EXPECT_EQ(keras_snake_case("GlobalAveragePooling2D"), "global_average_pooling2d");
  EXPECT_EQ(keras_snake_case("my>Layer_Two"), "my_layer__two");
  EXPECT_EQ(keras_snake_case("BatchNormalization"), "batch_normalization");
}

// Keras' momentum holds the learning rate, with the other sign.
TEST(KerasImport, MomentumBecomesOurs) {
  KerasFile file = keras_model(sequential(keras_layer("Dense", "d", R"("units": 2, "use_bias": false)")));
  file.model_config = R"({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config":
      {"name": "d", "units": 2, "use_bias": false, "batch_input_shape": [null, 2]}}]}})";
  file.layers = {{"d", "d", {counted("d/kernel", {2, 2})}}};
  file.training_config = R"({"loss": {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": true}},
      "optimizer_config": {"class_name": "SGD", "config": {"learning_rate": 0.5, "momentum": 0.9, "nesterov": true}}})";
  file.optimizer = {
      {"sgd/iteration", {}, {7}}, {"sgd/learning_rate", {}, {0.5F}}, counted("sgd/d_kernel_momentum", {2, 2})};
  const ForeignModel model = from_keras(file);
  ASSERT_TRUE(model.training.has_value());
  EXPECT_EQ(model.training->step, 7);
  EXPECT_EQ(model.training->optimizer.momentum, 0.9);
  EXPECT_TRUE(model.training->optimizer.nesterov);
  ASSERT_EQ(model.training->slots.size(), 1);
  EXPECT_EQ(model.training->slots[0].name, "d.weight.momentum");
  EXPECT_EQ(model.training->slots[0].tensor.values, (std::vector<float>{0, -2, -4, -6}));
}

TEST(KerasImport, LossesThatAreOurs) {
  const std::string dense = R"({"class_name": "Dense", "config": {"name": "d", "units": 2, "use_bias": false,
      "batch_input_shape": [null, 2]%s}})";
  std::vector<std::string> notes;
  const auto loss_of = [&](const std::string& loss, const std::string& activation = "") {
    std::string layer = dense;
    layer.replace(layer.find("%s"), 2, activation.empty() ? "" : R"(, "activation": ")" + activation + "\"");
    KerasFile file = keras_model(R"({"class_name": "Sequential", "config": {"layers": [)" + layer + "]}}");
    file.layers = {{"d", "d", {counted("d/kernel", {2, 2})}}};
    file.training_config = R"({"loss": )" + loss + "}";
    const ForeignModel model = from_keras(file);
    notes = model.training_notes;
    return model.loss;
  };
  const auto object = [](const std::string& name, const std::string& config) {
    return R"({"class_name": ")" + name + R"(", "config": {)" + config + "}}";
  };
  const std::string logits = R"("from_logits": true)";
  EXPECT_EQ(loss_of(R"("sparse_categorical_crossentropy")", "softmax")->type, LossType::kSoftmaxCrossEntropy);
  EXPECT_EQ(loss_of(object("CategoricalCrossentropy", logits + R"(, "label_smoothing": 0.1)"))->label_smoothing, 0.1);
  EXPECT_TRUE(notes.empty());
  EXPECT_EQ(loss_of(object("BinaryCrossentropy", logits))->type, LossType::kBinaryCrossEntropy);
  EXPECT_EQ(loss_of(R"("mse")")->type, LossType::kMeanSquaredError);
  EXPECT_EQ(loss_of(object("MeanSquaredError", ""))->type, LossType::kMeanSquaredError);
  EXPECT_TRUE(notes.empty());

  EXPECT_EQ(loss_of(object("BinaryCrossentropy", logits + R"(, "label_smoothing": 0.1)"))->label_smoothing, 0);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("towards 1/2"), std::string::npos) << notes[0];
  for (const auto& [loss, activation, note] :
       {std::tuple(R"("binary_crossentropy")", "sigmoid", "ends in logits"),
        std::tuple(R"("mean_squared_error")", "softmax", "of probabilities"),
        std::tuple(R"("hinge")", "", "'hinge' is left out: Convoy trains with softmax cross-entropy")}) {
    EXPECT_FALSE(loss_of(loss, activation)) << loss;
    ASSERT_FALSE(notes.empty()) << loss;
    EXPECT_NE(notes.back().find(note), std::string::npos) << notes.back();
  }
}

// What counts updates is no slot: plain SGD has one, too.
TEST(KerasImport, StepsOfEveryOptimizer) {
  KerasFile file = keras_model(R"({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config":
      {"name": "d", "units": 2, "use_bias": false, "batch_input_shape": [null, 2]}}]}})");
  file.layers = {{"d", "d", {counted("d/kernel", {2, 2})}}};
  const auto training = [&](const std::string& optimizer, std::vector<HostTensor> tensors) {
    file.training_config = R"({"loss": "sparse_categorical_crossentropy", "optimizer_config": )" + optimizer + "}";
    file.optimizer = std::move(tensors);
    return from_keras(file).training.value();
  };
  const std::string sgd = R"({"class_name": "SGD", "config": {"learning_rate": 0.5, "momentum": 0}})",
                    adam = R"({"class_name": "Adam", "config": {"learning_rate": 0.5}})";
  const HostTensor iteration{"iteration", {}, {7}}, rate{"learning_rate", {}, {0.5F}};
  EXPECT_EQ(training(sgd, {iteration, rate}).step, 7);
  EXPECT_TRUE(training(sgd, {iteration, rate}).slots.empty());
  EXPECT_EQ(training(sgd, {}).step, 0);
  const ForeignTraining whole = training(
      adam, {iteration, rate, counted("adam/d_kernel_momentum", {2, 2}), counted("adam/d_kernel_velocity", {2, 2})});
  EXPECT_EQ(whole.step, 7);
  EXPECT_EQ(whole.slots.size(), 2U);
  // Without its means, Adam starts anew.
  EXPECT_EQ(training(adam, {iteration, rate}).step, 0);
  EXPECT_EQ(training(adam, {iteration, rate, counted("adam/x_momentum", {3}), counted("adam/x_velocity", {3})}).step,
            0);

  file.training_config = R"({"optimizer_config": {"class_name": "RMSprop", "config": {"learning_rate": 0.5}}})";
  const ForeignModel other = from_keras(file);
  EXPECT_FALSE(other.training.has_value());
  EXPECT_EQ(other.optimizer_left_out, "RMSprop is left out: Convoy goes on from SGD, Adam and AdamW");
}

}  // namespace
}  // namespace convoy
