// Each rewrite rule applies where it fits and nowhere else, and a training step gives the same numbers without it.
#include "layers/rewrite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "core/device/target.h"
#include "core/graph/program.h"
#include "layers/add.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/registry.h"
#include "layers/relu.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

constexpr Shape kImage{4, 6, 6, 16};

// Adds layers one behind the other unless told otherwise; the name of a layer is its output's.
class Net {
 public:
  Graph graph;
  ValueId last = graph.input("image", kImage, Dtype::kF32);
  const ValueId target = graph.input("target", targets_shape(kImage.n), Dtype::kI32);

  ValueId add(const std::string& name, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs) {
    return last = graph.add(name, std::move(layer), std::move(inputs));
  }
  ValueId conv(const std::string& name, ValueId x) {
    const Window window{.kernel_h = 3, .kernel_w = 3, .padding = Padding::number(1)};
    return add(name, std::make_unique<Conv2d>(Conv2dOptions{.filters = 16, .window = window}), {x});
  }
  ValueId linear(const std::string& name, ValueId x) {
    return add(name, std::make_unique<Linear>(LinearOptions{.units = 8}), {x});
  }
  ValueId batch_norm(const std::string& name, ValueId x) {
    return add(name, std::make_unique<BatchNorm>(BatchNormOptions{}), {x});
  }
  ValueId relu(const std::string& name, ValueId x) { return add(name, std::make_unique<Relu>(), {x}); }
  ValueId sum(const std::string& name, ValueId a, ValueId b) { return add(name, std::make_unique<Add>(), {a, b}); }
  void loss() {
    const ValueId pooled = add("pool", std::make_unique<GlobalAverage>(), {last});
    const ValueId logits = linear("logits", relu("hidden_relu", linear("hidden", pooled)));
    graph.add("loss", std::make_unique<SoftmaxCrossEntropy>(), {logits, target});
  }
  int layers(const std::string& type) const {
    return static_cast<int>(
        std::ranges::count_if(graph.nodes(), [&](const Graph::Node& node) { return node.layer->type() == type; }));
  }
};

std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Node& node : graph.nodes()) {
    for (const auto& spec : node.layer->parameters(graph.input_shapes(node))) names.push_back(node.name + spec.name);
    for (const auto& spec : node.layer->state(graph.input_shapes(node))) names.push_back(node.name + spec.name);
  }
  return names;
}

// What one training step leaves behind: gradients, statistics and control block in one.
std::vector<float> train(const Graph& graph) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  Allocator& allocator = device->allocator();
  Parameters parameters(graph, allocator, allocator);
  parameters.initialize(7, 1, *device);
  for (int64_t i = 0; i < parameters.value_elements(); ++i) {  // no bias or shift that is zero everywhere
    parameters.values()[i] += 0.1F * std::sin(static_cast<float>(i));
  }
  Program program(graph, parameters, *make_cpu_kernels(), {});
  const Buffer image(allocator, kImage.elements() * 4), targets(allocator, kImage.n * int64_t{sizeof(Target)});
  const Buffer arena(allocator, program.memory().arena_bytes);
  for (int i = 0; i < kImage.elements(); ++i) image.as<float>()[i] = std::sin(static_cast<float>(i * i % 1009));
  for (int i = 0; i < kImage.n; ++i) targets.as<Target>()[i] = Target::of(i);
  const StepScalars scalars{.one_over_global_rows = 1.0F / kImage.n, .valid_rows = kImage.n};
  program.bind(
      arena.data(), parameters,
      {{"image", {image.data(), {kImage}}}, {"target", {targets.data(), {targets_shape(kImage.n), Dtype::kI32}}}},
      &scalars, device->compute());
  std::fill_n(parameters.gradients(), parameters.reduced_elements(), 0.0F);
  EXPECT_EQ(program.plan().run_checked(*device), "");
  return {parameters.gradients(), parameters.gradients() + parameters.reduced_elements()};
}

using Build = std::function<void(Net&)>;
using Rule = int (*)(Graph&, ValueId);

// The rule applies `times` times, keeps the parameters in order, and does not change what is trained.
void expect_equivalent(const Build& build, Rule rule, int times) {
  Net plain, fused;
  build(plain);
  build(fused);
  EXPECT_EQ(rule(fused.graph, {}), times);
  EXPECT_EQ(rule(fused.graph, {}), 0);
  EXPECT_EQ(fused.layers("relu"), plain.layers("relu") - times);
  EXPECT_EQ(parameter_names(fused.graph), parameter_names(plain.graph));
  const std::vector<float> expected = train(plain.graph), found = train(fused.graph);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-6 * (1 + std::abs(expected[i])));
}

void residual_blocks(Net& net) {
  const ValueId x = net.relu("relu1", net.batch_norm("bn1", net.conv("conv1", net.last)));
  const ValueId y = net.relu("relu2", net.sum("add2", net.batch_norm("bn2", net.conv("conv2", x)), x));
  const ValueId main = net.batch_norm("bn3", net.conv("conv3", y));
  const ValueId shortcut = net.batch_norm("bn4", net.conv("conv4", y));
  net.relu("relu3", net.sum("add3", main, shortcut));
  net.loss();
}

TEST(Rewrite, ConvRelu) {
  const Build build = [](Net& net) {
    net.relu("relu2", net.conv("conv2", net.relu("relu1", net.conv("conv1", net.last))));
    net.loss();
  };
  expect_equivalent(build, fuse_conv_relu, 2);
}

TEST(Rewrite, LinearRelu) { expect_equivalent(residual_blocks, fuse_linear_relu, 1); }
TEST(Rewrite, BatchNormRelu) { expect_equivalent(residual_blocks, fuse_batch_norm_relu, 1); }
TEST(Rewrite, BatchNormAddRelu) { expect_equivalent(residual_blocks, fuse_batch_norm_add_relu, 2); }

TEST(Rewrite, BatchNormKeepsItsOptions) {
  const Build build = [](Net& net) {
    const auto batch_norm = [&](const std::string& name, const BatchNormOptions& options) {
      return net.add(name, std::make_unique<BatchNorm>(options), {net.conv(name + "_conv", net.last)});
    };
    const ValueId x = net.relu("relu1", batch_norm("bn1", {.scale = false, .inference = true}));
    net.relu("relu2", net.sum("add2", batch_norm("bn2", {.shift = false, .inference = true}), x));
    net.relu("relu3", batch_norm("bn3", {.scale = false, .shift = false}));
    net.loss();
  };
  expect_equivalent(build, fuse_batch_norm_relu, 2);
  expect_equivalent(build, fuse_batch_norm_add_relu, 1);
}

TEST(Rewrite, BatchNormOfInferenceLeavesItsStatistics) {
  Net net;
  net.relu("relu", net.add("bn", std::make_unique<BatchNorm>(BatchNormOptions{.inference = true}), {net.last}));
  net.loss();
  EXPECT_EQ(fuse_batch_norm_relu(net.graph), 1);
  const Graph::Node& node = net.graph.nodes()[0];
  for (const StateSpec& state : node.layer->state(net.graph.input_shapes(node))) EXPECT_EQ(state.momentum, 0);
  const std::unique_ptr<Device> device = make_cpu_device(1);
  const Parameters parameters(net.graph, device->allocator(), device->allocator());
  EXPECT_EQ(parameters.reduced_elements(), parameters.trainable_elements() + kControlSize);
  for (const StateSlot& slot : parameters.state_slots()) EXPECT_FALSE(parameters.batch_state(slot)) << slot.name;
  train(net.graph);  // where it would write if it did, there is nothing
}

TEST(Rewrite, AllRules) {
  Net net;
  residual_blocks(net);
  rewrite(net.graph);
  EXPECT_EQ(net.layers("relu") + net.layers("add"), 0);
  const Rule all = [](Graph& graph, ValueId keep) {
    const size_t before = graph.nodes().size();
    rewrite(graph, keep);
    return graph.nodes().size() == before ? 0 : 4;  // relus
  };
  expect_equivalent(residual_blocks, all, 4);
}

// Evaluation alone: a convolution that adds has no gradient.
std::vector<float> evaluate(const Graph& graph, ValueId keep) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  Allocator& allocator = device->allocator();
  Parameters parameters(graph, allocator, allocator);
  parameters.initialize(7, 1, *device);
  Program program(graph, parameters, *make_cpu_kernels(), {.mode = Mode::kEval, .keep = {keep}});
  const Buffer image(allocator, kImage.elements() * 4), arena(allocator, program.memory().arena_bytes);
  for (int i = 0; i < kImage.elements(); ++i) image.as<float>()[i] = std::sin(static_cast<float>(i * i % 1009));
  const StepScalars scalars;
  program.bind(arena.data(), parameters, {{"image", {image.data(), {kImage}}}}, &scalars, device->compute());
  EXPECT_EQ(program.plan().run_checked(*device), "");
  const Tensor found = program.value(keep);
  return {found.as<float>(), found.as<float>() + found.type.shape.elements()};
}

// Without `target`, which evaluation has not.
struct Blocks {
  Graph graph;
  ValueId logits;
};

// A sum with a relu and one without; a shortcut with a convolution of its own; three sums that stay: of three terms, of
// a value with itself, and of values of which neither is a convolution's.
Blocks blocks_that_add() {
  Blocks net;
  ValueId x = net.graph.input("image", kImage, Dtype::kF32);
  const auto add = [&](const std::string& name, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs) {
    return net.graph.add(name, std::move(layer), std::move(inputs));
  };
  const auto conv = [&](const std::string& name, ValueId from) {
    const Window window{.kernel_h = 3, .kernel_w = 3, .padding = Padding::number(1)};
    return add(name, std::make_unique<Conv2d>(Conv2dOptions{.filters = 16, .window = window}), {from});
  };
  x = add("relu1", std::make_unique<Relu>(), {add("sum1", std::make_unique<Add>(), {conv("conv1", x), x})});
  const ValueId main = conv("conv2", x), shortcut = conv("conv3", x);
  x = add("sum2", std::make_unique<Add>(), {shortcut, main});
  x = add("sum3", std::make_unique<Add>(), {conv("conv4", x), x, x});
  const ValueId twice = conv("conv5", x);
  x = add("sum4", std::make_unique<Add>(), {twice, twice});
  x = add("sum5", std::make_unique<Add>(), {add("relu2", std::make_unique<Relu>(), {x}), x});
  net.logits = add("pool", std::make_unique<GlobalAverage>(), {x});
  return net;
}

TEST(RewriteForInference, ConvAdd) {
  const Blocks plain = blocks_that_add();
  Blocks fused = blocks_that_add();
  EXPECT_EQ(fuse_conv_add(fused.graph), 2);
  EXPECT_EQ(fuse_conv_add(fused.graph), 0);
  rewrite_for_inference(fused.graph, fused.logits);
  EXPECT_EQ(fused.graph.nodes().size(), plain.graph.nodes().size() - 3);  // two sums and a relu
  const std::vector<float> expected = evaluate(plain.graph, plain.logits), found = evaluate(fused.graph, fused.logits);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5 * (1 + std::abs(expected[i])));
}

TEST(RewriteForInference, WhatIsKeptStays) {
  Blocks net = blocks_that_add();
  const auto conv1 = std::ranges::find(net.graph.nodes(), "conv1", &Graph::Node::name);
  EXPECT_EQ(fuse_conv_add(net.graph, conv1->output), 1);
}

TEST(Rewrite, AnotherReaderForbidsIt) {
  Net net;
  const ValueId conv = net.conv("conv", net.last);
  const ValueId relu = net.relu("conv_relu", conv);
  const ValueId norm = net.batch_norm("bn", net.sum("a", conv, relu));
  net.relu("bn_relu", norm);
  net.sum("b", norm, net.last);
  const ValueId total = net.batch_norm("bn2", net.last);
  const ValueId branch = net.sum("c", total, relu);
  net.relu("c_relu", branch);
  net.sum("d", branch, net.last);
  const ValueId pooled = net.add("pool", std::make_unique<GlobalAverage>(), {net.last});
  const ValueId linear = net.linear("linear", pooled);
  net.sum("e", linear, net.relu("linear_relu", linear));
  const size_t before = net.graph.nodes().size();
  rewrite(net.graph);
  EXPECT_EQ(net.graph.nodes().size(), before);
}

TEST(Rewrite, WhatIsKeptStays) {
  const auto kept = [](const std::string& name, Rule rule) {
    Net net;
    residual_blocks(net);
    const auto found = std::ranges::find(net.graph.nodes(), name, &Graph::Node::name);
    return rule(net.graph, found->output);
  };
  EXPECT_EQ(kept("hidden", fuse_linear_relu), 0);
  EXPECT_EQ(kept("bn1", fuse_batch_norm_relu), 0);
  EXPECT_EQ(kept("bn2", fuse_batch_norm_add_relu), 1);
  EXPECT_EQ(kept("add2", fuse_batch_norm_add_relu), 1);
  EXPECT_EQ(kept("relu2", fuse_batch_norm_add_relu), 2);
  Net net;
  const ValueId conv = net.conv("conv", net.last);
  net.relu("relu", conv);
  EXPECT_EQ(fuse_conv_relu(net.graph, conv), 0);
}

TEST(Rewrite, ParametersInBetweenForbidIt) {
  Net net;
  const ValueId image = net.last, a = net.conv("a", image), b = net.conv("b", image);
  net.sum("sum", net.relu("a_relu", a), net.relu("b_relu", b));
  EXPECT_EQ(fuse_conv_relu(net.graph), 1);
  EXPECT_EQ(parameter_names(net.graph), (std::vector<std::string>{"aweight", "abias", "bweight", "bbias"}));
}

TEST(Rewrite, FrozenStaysFrozen) {
  Net net;
  net.relu("relu", net.conv("conv", net.last));
  net.graph.freeze(0);
  EXPECT_EQ(fuse_conv_relu(net.graph), 1);
  EXPECT_EQ(net.graph.nodes()[0].name, "conv");
  EXPECT_TRUE(net.graph.nodes()[0].frozen);
}

}  // namespace
}  // namespace convoy
