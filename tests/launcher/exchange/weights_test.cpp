#include "launcher/exchange/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "launcher/config/parts.h"

namespace convoy {
namespace {

constexpr const char* kModel = R"(
name: small
classes: 4
layers:
  - conv2d: {filters: 3, kernel: [2, 1], name: c}
  - batch_norm: {name: n}
  - flatten
  - batch_norm: {name: flat}
  - linear: {units: classes, name: fc}
)";

// Images of 3x2x2: c makes 2x2x3 of them.
Graph graph() {
  ModelConfig config = parse_model(kModel, "small.yaml");
  substitute_classes(config);
  return build_model(config, {}, {1, 3, 2, 2}, {.training = false, .normalize = false, .rewrite = false}).graph;
}

const WeightPlace& place(const std::vector<WeightPlace>& places, const std::string& name) {
  return *std::ranges::find(places, name, &WeightPlace::name);
}

std::vector<float> counting(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

ForeignTensor tensor(const std::string& name, std::vector<int64_t> dims, float first = 0) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  std::vector<float> values = counting(count);
  for (float& value : values) value += first;
  return {name, "file." + name, {name, std::move(dims), std::move(values)}, {}};
}

// All that the network needs, in PyTorch's order.
ForeignModel complete_file() {
  ForeignModel file;
  file.path = "file";
  file.order = WeightOrder::kPytorch;
  file.tensors = {tensor("c.weight", {3, 2, 2, 1}), tensor("c.bias", {3})};
  for (const auto& [layer, width] : {std::pair<std::string, int64_t>{"n", 3}, {"flat", 12}}) {
    for (const char* role : {".weight", ".bias", ".running_mean", ".running_variance"}) {
      file.tensors.push_back(tensor(layer + role, {width}));
    }
  }
  file.tensors.push_back(tensor("fc.weight", {4, 12}));
  file.tensors.push_back(tensor("fc.bias", {4}));
  return file;
}

std::string failure(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadData);
    return error.what();
  }
  return "";
}

TEST(WeightPlacesTest, AreInGraphOrderAndKnowTheImageBehindAFlatten) {
  const std::vector<WeightPlace> places = weight_places(graph());
  ASSERT_EQ(places.size(), 12U);
  EXPECT_EQ(places.front().name, "c.weight");
  EXPECT_EQ(places.back().name, "fc.bias");
  EXPECT_EQ(place(places, "fc.weight").inputs, (FlattenedImages{{4, 3}}));
  EXPECT_EQ(place(places, "flat.running_mean").inputs, (FlattenedImages{{4, 3}}));
  EXPECT_EQ(place(places, "n.weight").inputs, (FlattenedImages{{1, 3}}));
  EXPECT_EQ(place(places, "fc.bias").inputs, (FlattenedImages{{1, 4}}));
  EXPECT_TRUE(place(places, "n.running_mean").is_state);
}

// Element by element, from the definitions of both orders.
TEST(WeightOrderTest, TurnsConvolutionsRound) {
  const std::vector<WeightPlace> places = weight_places(graph());
  const WeightPlace& weight = place(places, "c.weight");  // 3,2,1,2: O,h,w,I
  EXPECT_EQ(dims_in(WeightOrder::kPytorch, weight), (std::vector<int64_t>{3, 2, 2, 1}));
  EXPECT_EQ(dims_in(WeightOrder::kKeras, weight), (std::vector<int64_t>{2, 1, 2, 3}));
  const std::vector<float> pytorch = from_order(WeightOrder::kPytorch, weight, counting(12));
  const std::vector<float> keras = from_order(WeightOrder::kKeras, weight, counting(12));
  for (int o = 0, ours = 0; o < 3; ++o) {
    for (int y = 0; y < 2; ++y) {
      for (int i = 0; i < 2; ++i, ++ours) {
        EXPECT_EQ(pytorch[static_cast<size_t>(ours)], static_cast<float>((o * 2 + i) * 2 + y));
        EXPECT_EQ(keras[static_cast<size_t>(ours)], static_cast<float>((y * 2 + i) * 3 + o));
      }
    }
  }
}

TEST(WeightOrderTest, TurnsWhatFollowsAFlattenRound) {
  const std::vector<WeightPlace> places = weight_places(graph());
  const std::vector<float> linear = from_order(WeightOrder::kPytorch, place(places, "fc.weight"), counting(48));
  const std::vector<float> vector = from_order(WeightOrder::kPytorch, place(places, "flat.bias"), counting(12));
  const std::vector<float> keras = from_order(WeightOrder::kKeras, place(places, "fc.weight"), counting(48));
  for (size_t pixel = 0; pixel < 4; ++pixel) {
    for (size_t c = 0; c < 3; ++c) {
      const size_t ours = pixel * 3 + c;
      EXPECT_EQ(vector[ours], static_cast<float>(c * 4 + pixel));
      for (size_t o = 0; o < 4; ++o) {
        EXPECT_EQ(linear[o * 12 + ours], static_cast<float>(o * 12 + c * 4 + pixel));
        EXPECT_EQ(keras[o * 12 + ours], static_cast<float>(ours * 4 + o));
      }
    }
  }
}

TEST(WeightOrderTest, GoesBothWays) {
  for (const WeightPlace& it : weight_places(graph())) {
    for (const WeightOrder order : {WeightOrder::kConvoy, WeightOrder::kPytorch, WeightOrder::kKeras}) {
      const std::vector<float> ours = counting(it.shape.elements());
      EXPECT_EQ(from_order(order, it, to_order(order, it, ours)), ours) << it.name;
    }
  }
}

TEST(MatchWeightsTest, MatchesByNameAndListsWhatIsLeft) {
  ForeignModel file = complete_file();
  file.tensors.push_back(tensor("head.weight", {1}));
  const MatchedWeights matched = match_weights(weight_places(graph()), file);
  EXPECT_EQ(matched.matches.size(), 12U);
  EXPECT_TRUE(matched.missing.empty());
  EXPECT_EQ(matched.unused, std::vector<std::string>{"file.head.weight"});
  EXPECT_EQ(matched.weights.at("c.bias"), counting(3));
}

TEST(MatchWeightsTest, MatchesLayerByLayerWhereNoNameAgrees) {
  ForeignModel file = complete_file();
  for (ForeignTensor& it : file.tensors) it.name.insert(0, "x_");
  EXPECT_EQ(match_weights(weight_places(graph()), file).missing.size(), 12U);
  file.in_layer_order = true;
  EXPECT_TRUE(match_weights(weight_places(graph()), file).missing.empty());
}

// As in weights of Keras 3, where all layers of a class come together and a batch norm may have numbers for names.
TEST(MatchWeightsTest, MatchesTypeByTypeWhereTheFileSaysTypes) {
  constexpr const char* kNet = R"(
name: net
classes: 4
layers:
  - conv2d: {filters: 3, kernel: 1, bias: false, name: a}
  - batch_norm: {name: a_norm, scale: false}
  - conv2d: {filters: 3, kernel: 1, groups: 3, bias: false, name: deep}
  - conv2d: {filters: 3, kernel: 1, bias: false, name: b}
  - batch_norm: {name: b_norm}
  - global_average
  - linear: {units: classes, name: fc}
)";
  ModelConfig config = parse_model(kNet, "net.yaml");
  substitute_classes(config);
  const Model model = build_model(config, {}, {1, 2, 2, 3}, {.training = false, .normalize = false, .rewrite = false});
  ForeignModel file;
  file.path = "file";
  file.order = WeightOrder::kKeras;
  file.in_layer_order = true;
  const auto add = [&](const char* type, const std::string& name, const std::vector<int64_t>& dims, float first) {
    file.tensors.push_back(tensor(name, dims, first));
    file.tensors.back().layer_type = type;
  };
  for (const char* role : {"0", "1", "2"}) add("batch_norm", std::string("n.") + role, {3}, static_cast<float>(*role));
  add("batch_norm", "n_1.running_mean", {3}, 7);  // by what they are called, in whatever order
  for (const char* role : {"weight", "bias", "running_variance"}) add("batch_norm", std::string("n_1.") + role, {3}, 1);
  add("conv2d", "c.weight", {1, 1, 3, 3}, 10);
  add("conv2d", "c_1.weight", {1, 1, 3, 3}, 20);
  add("linear", "d.weight", {3, 4}, 30);
  add("linear", "d.bias", {4}, 40);
  add("depthwise", "e.weight", {1, 1, 3, 1}, 50);
  add("embedding", "x.0", {3}, 0);
  const MatchedWeights matched = match_weights(weight_places(model.graph), file);
  EXPECT_TRUE(matched.missing.empty());
  EXPECT_EQ(matched.unused, std::vector<std::string>{"file.x.0"});
  const auto first_of = [&](const char* name) { return matched.weights.at(name).front(); };
  EXPECT_EQ(first_of("a.weight"), 10);
  EXPECT_EQ(first_of("b.weight"), 20);
  EXPECT_EQ(first_of("deep.weight"), 50);
  EXPECT_EQ(first_of("fc.bias"), 40);
  EXPECT_EQ(first_of("b_norm.running_mean"), 7);
  EXPECT_EQ(first_of("a_norm.bias"), '0');
  EXPECT_EQ(first_of("a_norm.running_variance"), '2');

  file.tensors.erase(file.tensors.begin() + 8);  // of two convolutions one: the first
  EXPECT_EQ(match_weights(weight_places(model.graph), file).missing, std::vector<std::string>{"b.weight"});
}

// As Keras 3 numbers the weights of a batch norm without scale or centre.
TEST(MatchWeightsTest, MatchesNumbersInALayerOfTheSameName) {
  ForeignModel file = complete_file();
  for (size_t i = 0; i < 4; ++i) file.tensors[2 + i].name = "n." + std::to_string(i);
  file.tensors[4].tensor.values = {7, 7, 7};
  file.in_layer_order = true;
  const MatchedWeights matched = match_weights(weight_places(graph()), file);
  EXPECT_TRUE(matched.missing.empty());
  EXPECT_TRUE(matched.unused.empty());
  EXPECT_EQ(matched.weights.at("n.running_mean"), (std::vector<float>{7, 7, 7}));
}

TEST(MatchWeightsTest, NamesBothSidesOfAWrongShape) {
  ForeignModel file = complete_file();
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{3, 2, 1, 2}, {3, 3, 2, 1}, {12}}) {
    file.tensors[0] = tensor("c.weight", dims);
    const std::string message = failure([&] { match_weights(weight_places(graph()), file); });
    EXPECT_TRUE(message.starts_with("file: 'file.c.weight' is ")) << message;
    EXPECT_TRUE(message.ends_with(", and 'c.weight' of the network (conv2d) is 3x2x2x1")) << message;
  }
}

TEST(MatchWeightsTest, RefusesWhatIsIncomplete) {
  ForeignModel file = complete_file();
  file.tensors.pop_back();
  EXPECT_EQ(failure([&] { require_complete(match_weights(weight_places(graph()), file), file); }),
            "file: has nothing for 'fc.bias' of the network");
}

TEST(MatchWeightsTest, RefusesWhatIsNotANumber) {
  for (const float wrong : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    ForeignModel file = complete_file();
    file.tensors[1].tensor.values[2] = wrong;
    EXPECT_EQ(failure([&] { require_complete(match_weights(weight_places(graph()), file), file); }),
              "file: has an element for 'c.bias' that is NaN or infinite");
  }
}

TEST(MatchTrainingTest, TurnsTheSlotsRoundLikeTheirParameters) {
  ForeignModel file = complete_file();
  file.training.emplace().slots = {tensor("fc.weight.momentum", {4, 12}), tensor("gone.weight.momentum", {1})};
  const TrainingState state = match_training(weight_places(graph()), file);
  ASSERT_EQ(state.slots.size(), 1U);
  const std::vector<WeightPlace> places = weight_places(graph());
  EXPECT_EQ(state.slots.at("fc.weight.momentum"),
            from_order(WeightOrder::kPytorch, place(places, "fc.weight"), counting(48)));
}

}  // namespace
}  // namespace convoy
