// A folded network computes what it did before, with fewer layers.
#include "launcher/exchange/fold.h"

#include <gtest/gtest.h>

#include "layers/batch_norm.h"
#include "tests/launcher/networks.h"

namespace convoy {
namespace {

constexpr Shape kSample{1, 9, 9, 3};

int layers_of(const Graph& graph, const std::string& type) {
  return static_cast<int>(
      std::ranges::count_if(graph.nodes(), [&](const Graph::Node& node) { return node.layer->type() == type; }));
}

// The weights are those of the layers that are left, no more.
void expect_complete(const Network& network) {
  size_t count = 0;
  for (const Graph::Node& node : network.model.graph.nodes()) {
    const std::vector<Shape> inputs = network.model.graph.input_shapes(node);
    const auto expect = [&](const std::string& name, const Shape& shape) {
      const auto found = network.weights.find(node.name + "." + name);
      ASSERT_NE(found, network.weights.end()) << node.name << "." << name;
      EXPECT_EQ(static_cast<int64_t>(found->second.size()), shape.elements()) << node.name << "." << name;
      ++count;
    };
    for (const ParameterSpec& spec : node.layer->parameters(inputs)) expect(spec.name, spec.shape);
    for (const StateSpec& spec : node.layer->state(inputs)) expect(spec.name, spec.shape);
  }
  EXPECT_EQ(count, network.weights.size());
}

void expect_folds(const std::string& layers, int times, int left) {
  Network network = network_of("classes: 5\nlayers:\n" + layers, kSample);
  const std::vector<float> images = numbers(3 * kSample.elements(), 99);
  const std::vector<float> wanted = plain_logits(network, images);
  const size_t before = network.model.graph.nodes().size();
  EXPECT_EQ(fold_batch_norm(network), times);
  EXPECT_EQ(fold_batch_norm(network), 0);
  EXPECT_EQ(network.model.graph.nodes().size(), before - static_cast<size_t>(times));
  EXPECT_EQ(layers_of(network.model.graph, "batch_norm"), left);
  expect_complete(network);
  EXPECT_LE(worst_error(plain_logits(network, images), wanted), 1e-5);
}

constexpr const char* kEnd = "  - global_average\n  - linear: {units: 5}\n";

TEST(FoldBatchNorm, IntoConvolutions) {
  expect_folds(std::string(R"(
  - conv2d: {filters: 8, kernel: 3, padding: 1, bias: false}
  - batch_norm
  - relu
  - conv2d: {filters: 12, kernel: 3, stride: 2}
  - batch_norm: {epsilon: 0.1}
)") + kEnd,
               2, 0);
}

TEST(FoldBatchNorm, WithoutScaleOrShift) {
  expect_folds(std::string(R"(
  - conv2d: {filters: 8, kernel: 3}
  - batch_norm: {scale: false}
  - conv2d: {filters: 6, kernel: 1, bias: false}
  - batch_norm: {shift: false}
  - conv2d: {filters: 4, kernel: 1}
  - batch_norm: {scale: false, shift: false}
)") + kEnd,
               3, 0);
}

TEST(FoldBatchNorm, IntoGroupsAndDepthwise) {
  expect_folds(std::string(R"(
  - conv2d: {filters: 8, kernel: 1}
  - conv2d: {filters: 16, kernel: 3, groups: 2, bias: false}
  - batch_norm
  - conv2d: {filters: 16, kernel: 3, groups: 16}
  - batch_norm
)") + kEnd,
               2, 0);
}

TEST(FoldBatchNorm, IntoLinearAndTheLogits) {
  expect_folds(R"(
  - flatten
  - linear: {units: 7, bias: false}
  - batch_norm
  - relu
  - linear: {units: 5}
  - batch_norm
)",
               2, 0);
}

// Pre-activation, and a normalisation behind a sum or a relu.
TEST(FoldBatchNorm, NotWhereNothingLinearIsBefore) {
  expect_folds(std::string(R"(
  - batch_norm
  - relu
  - conv2d: {filters: 3, kernel: 3, padding: 1}
  - relu
  - batch_norm
  - residual:
      layers: [conv2d: {filters: 3, kernel: 1}]
  - batch_norm
)") + kEnd,
               0, 3);
}

TEST(FoldBatchNorm, NotWhereOthersReadTheConvolution) {
  expect_folds(std::string(R"(
  - conv2d: {filters: 4, kernel: 3}
  - residual:
      layers: [batch_norm]
)") + kEnd,
               0, 1);
}

// What is kept by the caller, here the logits themselves, stays as it was.
TEST(FoldBatchNorm, NotBehindWhatIsKept) {
  Network network = network_of("classes: 5\nlayers: [flatten, linear: {units: 5}, batch_norm]", kSample);
  const ValueId linear = network.model.graph.nodes()[1].output;
  EXPECT_EQ(fold_batch_norm(network.model.graph, network.weights, linear), 0);
}

}  // namespace
}  // namespace convoy
