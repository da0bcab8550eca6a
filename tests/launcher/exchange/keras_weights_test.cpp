#include "launcher/exchange/keras_weights.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "launcher/exchange/readers.h"
#include "tests/launcher/exchange/keras_files.h"

namespace convoy {
namespace {

const char* const kConv = R"("filters": 4, "kernel_size": [3, 3])";

std::vector<std::string> names(const ForeignModel& model) {
  std::vector<std::string> out;
  for (const ForeignTensor& tensor : model.tensors) out.push_back(tensor.name);
  return out;
}

// The same layer in five generations; features.md 4.1.
TEST(KerasWeights, NamesOfFiveGenerations) {
  const struct {
    const char *version, *kernel, *bias;
  } kCases[] = {
      {"", "conv_W_1:0", "conv_b_1:0"},
      {"", "convolution2d_1_W:0", "convolution2d_1_b:0"},
      {"2.2.4", "conv/kernel:0", "conv/bias:0"},
      {"2.0.5", "conv_1_1/kernel:0", "conv_1_1/bias:0"},
      {"3.11.3", "sequential/conv/kernel", "sequential/conv/bias"},
      {"3.0.0", "conv/kernel", "conv/bias"},
  };
  for (const auto& it : kCases) {
    KerasFile file = keras_model(sequential(keras_layer("Conv2D", "conv", kConv)), it.version);
    // In the other order: names count.
    file.layers = {{"conv", "conv", {counted(it.bias, {4}), counted(it.kernel, {3, 3, 3, 4})}}};
    const ForeignModel model = from_keras(file);
    EXPECT_EQ(names(model), (std::vector<std::string>{"conv.weight", "conv.bias"})) << it.kernel;
    EXPECT_EQ(model.tensors[0].original, std::string("conv/") + it.kernel);

    file.model_config.clear();
    file.format = KerasFormat::kLegacyWeights;
    EXPECT_EQ(names(from_keras(file)), (std::vector<std::string>{"conv.bias", "conv.weight"})) << it.kernel;
    EXPECT_TRUE(from_keras(file).in_layer_order);
  }
}

TEST(KerasWeights, KerasThreesNumbersByClass) {
  KerasFile file =
      keras_model(sequential(keras_layer("Conv2D", "one", kConv) + ", " + keras_layer("Conv2D", "two", kConv) + ", " +
                             keras_layer("BatchNormalization", "bn")));
  file.format = KerasFormat::kKeras;
  file.layers = {
      {"bn", "batch_normalization", {counted("0", {4}), counted("1", {4}), counted("2", {4}), counted("3", {4})}},
      {"one", "conv2d", {counted("0", {3, 3, 3, 4}), counted("1", {4})}},
      {"two", "conv2d_1", {counted("0", {3, 3, 4, 4}), counted("1", {4})}}};
  EXPECT_EQ(names(from_keras(file)),
            (std::vector<std::string>{"one.weight", "one.bias", "two.weight", "two.bias", "bn.weight", "bn.bias",
                                      "bn.running_mean", "bn.running_variance"}));
}

TEST(KerasWeights, WithoutAConfigurationANormalizationLacksWhatCannotBeSeen) {
  KerasFile file;
  file.format = KerasFormat::kWeights;
  file.layers = {{"bn", "layers/batch_normalization", {counted("0", {4}), counted("1", {4}), counted("2", {4})}},
                 {"ln", "layers/layer_normalization", {counted("0", {4})}},
                 {"fc", "layers/dense", {counted("0", {4, 3})}}};
  EXPECT_EQ(names(from_keras(file)), (std::vector<std::string>{"bn.0", "bn.1", "bn.2", "ln.0", "fc.weight"}));
}

// One group with all weights, first what is trained.
TEST(KerasWeights, NestedModelByPath) {
  const std::string base = R"({"class_name": "Sequential", "config": {"name": "base", "layers": [)" +
                           keras_layer("Conv2D", "conv", kConv) + ", " + keras_layer("BatchNormalization", "bn") +
                           "]}}";
  KerasFile file = keras_model(sequential(base), "2.2.4");
  file.layers = {{"base",
                  "base",
                  {counted("conv/kernel:0", {3, 3, 3, 4}), counted("conv/bias:0", {4}), counted("bn/gamma:0", {4}),
                   counted("bn/beta:0", {4}), counted("bn/moving_mean:0", {4}), counted("bn/moving_variance:0", {4})}}};
  const std::vector<std::string> expected = {"base.conv.weight", "base.conv.bias",       "base.bn.weight",
                                             "base.bn.bias",     "base.bn.running_mean", "base.bn.running_variance"};
  EXPECT_EQ(names(from_keras(file)), expected);
}

TEST(KerasWeights, AWrongNumberIsBadData) {
  KerasFile file = keras_model(sequential(keras_layer("Conv2D", "conv", kConv)));
  file.format = KerasFormat::kWeights;
  file.layers = {{"conv", "conv2d", {counted("0", {3, 3, 3, 4})}}};
  try {
    from_keras(file);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    EXPECT_STREQ(error.what(), "m.h5: layer 'conv' has 1 weights, and its configuration says 2");
  }
}

}  // namespace
}  // namespace convoy
