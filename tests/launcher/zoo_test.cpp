// The networks of configs/models against torchvision and Keras: tests/oracles/zoo_figures.py prints the table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "launcher/datasets.h"
#include "launcher/layer_rows.h"
#include "launcher/model_builder.h"

namespace convoy {
namespace {

const std::string kDirectory = CONVOY_SOURCE_DIR "/configs/models/";

struct Figures {
  const char* name;
  int64_t parameters;
  int64_t multiply_adds;  // of convolutions and linear layers, for one image of the size that the network is made for
};
void PrintTo(const Figures& figures, std::ostream* out) { *out << figures.name; }

constexpr Figures kFigures[] = {
    {"airbench-cifar", 1971640, 118147360},     {"alexnet", 61100840, 714188480},
    {"cifar-resnet110", 1730714, 253149824},    {"cifar-resnet18", 11173962, 555422720},
    {"cifar-resnet20", 272474, 40813184},       {"cifar-resnet32", 466906, 69124736},
    {"cifar-resnet56", 855770, 125747840},      {"densenet121", 7978856, 2834161664},
    {"efficientnet-b0", 5288548, 385814752},    {"keras-resnet101", 44601832, 7570194432},
    {"keras-resnet152", 60268520, 11282415616}, {"keras-resnet50", 25583592, 3857973248},
    {"keras-vgg16", 138357544, 15470264320},    {"mobilenet-v2", 3504872, 300774272},
    {"resnet101", 44549160, 7801405440},        {"resnet152", 60192808, 11513626624},
    {"resnet18", 11689512, 1814073344},         {"resnet34", 21797672, 3663761408},
    {"resnet50", 25557032, 4089184256},         {"squeezenet1_0", 1248424, 818924576},
    {"squeezenet1_1", 1235496, 349151936},      {"vgg11", 132863336, 7609090048},
    {"vgg11_bn", 132868840, 7609090048},        {"vgg13", 133047848, 11308466176},
    {"vgg13_bn", 133053736, 11308466176},       {"vgg16", 138357544, 15470264320},
    {"vgg16_bn", 138365992, 15470264320},       {"vgg19", 143667240, 19632062464},
    {"vgg19_bn", 143678248, 19632062464},       {"wide-resnet28-10", 36479194, 5243328768},
};

// MNIST's, which are in neither.
constexpr Figures kSmall[] = {
    {"lenet5", 61706, 416520}, {"mnist-pytorch", 1199882, 11992448}, {"mnist-vgg", 288170, 29128448}};

Model build(const Experiment& e) {
  return build_model(e.model, e.data, sample_shape(e.data), {.training = false, .normalize = false, .rewrite = false});
}

Model zoo(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return build(load_model(kDirectory + name + ".yaml", overrides));
}

std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.layer->parameters(graph.input_shapes(node))) {
      names.push_back(node.name + "." + spec.name);
    }
  }
  return names;
}

Initializer start_of(const Graph& graph, const std::string& name, size_t parameter = 0) {
  const auto found = std::ranges::find(graph.nodes(), name, &Graph::Node::name);
  return found->layer->parameters(graph.input_shapes(*found)).at(parameter).initializer;
}

class Zoo : public ::testing::TestWithParam<Figures> {};

TEST_P(Zoo, HasTheParametersAndMultiplyAddsOfItsModel) {
  const Experiment e = load_model(kDirectory + GetParam().name + std::string(".yaml"), {});
  const LayerRow sum = sum_of(layer_rows(build(e).graph));
  EXPECT_EQ(sum.parameters, GetParam().parameters);
  EXPECT_EQ(sum.multiply_adds, GetParam().multiply_adds);
  EXPECT_EQ(e.model.name, GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Networks, Zoo, ::testing::ValuesIn(kFigures));
INSTANTIATE_TEST_SUITE_P(SmallNetworks, Zoo, ::testing::ValuesIn(kSmall));

TEST(ZooTest, EveryFileIsInTheTable) {
  std::set<std::string> files, table;
  for (const auto& entry : std::filesystem::directory_iterator(kDirectory)) files.insert(entry.path().stem());
  for (const Figures& figures : kFigures) table.insert(figures.name);
  for (const Figures& figures : kSmall) table.insert(figures.name);
  EXPECT_EQ(files, table);
}

TEST(ZooTest, FilesStateTheirParameters) {
  const auto state = [](const Figures& figures) {
    std::ifstream file(kDirectory + figures.name + ".yaml");
    std::string comment, line;
    while (std::getline(file, line) && line.starts_with("#")) comment += line.substr(1);
    std::string number = std::to_string(figures.parameters);
    for (int at = static_cast<int>(number.size()) - 3; at > 0; at -= 3) number.insert(static_cast<size_t>(at), ",");
    EXPECT_NE(comment.find(" " + number + " parameters"), std::string::npos) << figures.name << ":" << comment;
  };
  std::ranges::for_each(kFigures, state);
  std::ranges::for_each(kSmall, state);
}

// ---- Names: those of torchvision and Keras, in their order

TEST(ZooTest, ParametersAreCalledAsInTorchvision) {
  const auto first = [](const char* name, size_t from, size_t count) {
    const std::vector<std::string> names = parameter_names(zoo(name).graph);
    const auto begin = names.begin() + static_cast<std::ptrdiff_t>(from);
    return std::vector<std::string>(begin, begin + static_cast<std::ptrdiff_t>(count));
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(first("resnet50", 3, 12),
            (Names{"layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias", "layer1.0.conv2.weight",
                   "layer1.0.bn2.weight", "layer1.0.bn2.bias", "layer1.0.conv3.weight", "layer1.0.bn3.weight",
                   "layer1.0.bn3.bias", "layer1.0.downsample.0.weight", "layer1.0.downsample.1.weight",
                   "layer1.0.downsample.1.bias"}));
  EXPECT_EQ(first("vgg11_bn", 0, 5), (Names{"features.0.weight", "features.0.bias", "features.1.weight",
                                            "features.1.bias", "features.4.weight"}));
  EXPECT_EQ(first("densenet121", 3, 4),
            (Names{"features.denseblock1.denselayer1.norm1.weight", "features.denseblock1.denselayer1.norm1.bias",
                   "features.denseblock1.denselayer1.conv1.weight", "features.denseblock1.denselayer1.norm2.weight"}));
  EXPECT_EQ(first("efficientnet-b0", 6, 8),
            (Names{"features.1.0.block.1.fc1.weight", "features.1.0.block.1.fc1.bias",
                   "features.1.0.block.1.fc2.weight", "features.1.0.block.1.fc2.bias", "features.1.0.block.2.0.weight",
                   "features.1.0.block.2.1.weight", "features.1.0.block.2.1.bias", "features.2.0.block.0.0.weight"}));
  EXPECT_EQ(first("mobilenet-v2", 3, 6),
            (Names{"features.1.conv.0.0.weight", "features.1.conv.0.1.weight", "features.1.conv.0.1.bias",
                   "features.1.conv.1.weight", "features.1.conv.2.weight", "features.1.conv.2.bias"}));
  EXPECT_EQ(first("keras-resnet50", 4, 2), (Names{"conv2_block1_1_conv.weight", "conv2_block1_1_conv.bias"}));
}

// ---- Starts

void expect_start(const Initializer& found, Initializer::Kind kind, double scale) {
  EXPECT_EQ(found.kind, kind);
  EXPECT_FLOAT_EQ(found.scale, static_cast<float>(scale));
}

TEST(ZooTest, StartsAsTorchvisionAndKerasDo) {
  using enum Initializer::Kind;
  const Model resnet = zoo("resnet18");
  expect_start(start_of(resnet.graph, "conv1"), kNormal, std::sqrt(2.0 / (64 * 7 * 7)));
  expect_start(start_of(resnet.graph, "fc"), kUniform, 1 / std::sqrt(512.0));
  expect_start(start_of(resnet.graph, "fc", 1), kUniform, 1 / std::sqrt(512.0));
  const Model vgg = zoo("vgg11");
  expect_start(start_of(vgg.graph, "classifier.0"), kNormal, 0.01);
  expect_start(start_of(vgg.graph, "classifier.0", 1), kConstant, 0);
  const Model mobile = zoo("mobilenet-v2");
  expect_start(start_of(mobile.graph, "features.1.conv.0.0"), kNormal, std::sqrt(2.0 / (32 * 9)));  // depthwise
  const Model efficient = zoo("efficientnet-b0");
  expect_start(start_of(efficient.graph, "features.1.0.block.1.fc1"), kNormal, std::sqrt(2.0 / 8));
  expect_start(start_of(efficient.graph, "classifier.1"), kUniform, 1 / std::sqrt(1000.0));
  const Model dense = zoo("densenet121");
  expect_start(start_of(dense.graph, "features.conv0"), kNormal, std::sqrt(2.0 / (3 * 7 * 7)));
  expect_start(start_of(dense.graph, "classifier"), kUniform, 1 / std::sqrt(1024.0));
  expect_start(start_of(dense.graph, "classifier", 1), kConstant, 0);
  const Model squeeze = zoo("squeezenet1_1");
  expect_start(start_of(squeeze.graph, "features.0"), kUniform, std::sqrt(6.0 / 27));
  const Model keras = zoo("keras-resnet50");
  expect_start(start_of(keras.graph, "conv1_conv"), kUniform, std::sqrt(6.0 / (49 * 3 + 49 * 64)));
  expect_start(start_of(keras.graph, "predictions"), kUniform, std::sqrt(6.0 / (2048 + 1000)));
}

}  // namespace
}  // namespace convoy
