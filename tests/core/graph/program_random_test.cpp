// Random networks: what a program computes equals the same graph evaluated naively, in double, every value in memory of
// its own; and its memory plan is sound.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/core/graph/program_rig.h"

namespace convoy {
namespace {

using fake::ProgramRig;
using Doubles = std::vector<double>;

constexpr Shape kImage{2, 6, 4, 3};
constexpr size_t kElements = 144;

struct Naive {
  std::vector<Doubles> values, gradients;  // by ValueId
  Doubles weight_gradients;                // by node
  double loss = 0;
};

const Doubles& value_of(const Naive& naive, const Graph::Node& node, size_t input) {
  return naive.values[static_cast<size_t>(node.inputs[input].index)];
}

Doubles naive_forward(const Naive& naive, const Graph::Node& node, double weight) {
  const std::string type = node.layer->type();
  const Doubles& x = value_of(naive, node, 0);
  Doubles y = x;
  double loss = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (type == "scale") y[i] = weight * x[i];
    if (type == "blocked") y[i] = 2 * x[i];
    if (type == "tanh") y[i] = std::tanh(x[i]);
    if (type == "relu") y[i] = std::max(x[i], 0.0);
    if (type == "multiply") y[i] = x[i] * value_of(naive, node, 1)[i];
    if (type == "loss") loss += x[i] * x[i] / 2;
    for (size_t input = 1; type == "add" && input < node.inputs.size(); ++input)
      y[i] += value_of(naive, node, input)[i];
  }
  return type == "loss" ? Doubles{loss} : y;
}

// d(sum of losses) / d(input `input`)[i], as far as it flows through this node.
double naive_backward(const Naive& naive, const Graph::Node& node, double weight, size_t input, size_t i) {
  const std::string type = node.layer->type();
  const double x = value_of(naive, node, 0)[i];
  if (type == "loss") return x;
  const double dy = naive.gradients[static_cast<size_t>(node.output.index)][i];
  if (type == "scale") return weight * dy;
  if (type == "blocked") return 2 * dy;
  if (type == "tanh") return dy * (1 - std::tanh(x) * std::tanh(x));
  if (type == "relu") return x > 0 ? dy : 0;
  if (type == "multiply") return dy * value_of(naive, node, 1 - input)[i];
  return dy;  // add, flatten
}

Naive evaluate(const Graph& graph, const Doubles& image, const Doubles& weights) {
  Naive naive;
  naive.values.resize(static_cast<size_t>(graph.values()));
  naive.values[0] = image;
  const std::vector<Graph::Node>& nodes = graph.nodes();
  for (size_t n = 0; n < nodes.size(); ++n) {
    Doubles& y = naive.values[static_cast<size_t>(nodes[n].output.index)] = naive_forward(naive, nodes[n], weights[n]);
    if (nodes[n].layer->is_loss()) naive.loss += y[0];
  }
  for (const Doubles& value : naive.values) naive.gradients.emplace_back(value.size());
  naive.weight_gradients.resize(nodes.size());
  for (size_t n = nodes.size(); n-- > 0;) {
    for (size_t input = 0; input < nodes[n].inputs.size(); ++input) {
      Doubles& dx = naive.gradients[static_cast<size_t>(nodes[n].inputs[input].index)];
      for (size_t i = 0; i < kElements; ++i) dx[i] += naive_backward(naive, nodes[n], weights[n], input, i);
    }
    if (nodes[n].layer->type() != "scale") continue;
    const Doubles& dy = naive.gradients[static_cast<size_t>(nodes[n].output.index)];
    for (size_t i = 0; i < kElements; ++i) naive.weight_gradients[n] += dy[i] * value_of(naive, nodes[n], 0)[i];
  }
  return naive;
}

class RandomNetwork {
 public:
  explicit RandomNetwork(unsigned seed) : random_(seed) {
    for (size_t i = 0; i < kElements; ++i) image.push_back(uniform());
    values_.push_back(rig.input(kImage, {image.begin(), image.end()}));
    const int nodes = 2 + below(24);
    for (int n = 0; n < nodes; ++n) grow();
    add("loss", {values_.back()});
    for (int n = below(3); n > 0; --n) add("loss", {any_value()});
  }

  ProgramRig rig;
  Doubles image, weights;  // the latter by node
  std::vector<ValueId> keep;

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  float uniform() { return static_cast<float>(below(2001) - 1000) / 1000; }
  ValueId any_value() {  // mostly a recent one, so that networks are deep, sometimes an old one
    const int count = static_cast<int>(values_.size());
    return values_[static_cast<size_t>(below(3) == 0 ? below(count) : count - 1 - below(std::min(count, 3)))];
  }
  ValueId partner(ValueId of) {
    ValueId other = of;
    for (int attempt = 0; attempt < 8 && other == of; ++attempt) {
      const ValueId value = any_value();
      if (rig.graph.shape(value) == rig.graph.shape(of)) other = value;
    }
    return other;
  }
  double largest(ValueId value) {
    const Doubles elements = evaluate(rig.graph, image, weights).values[static_cast<size_t>(value.index)];
    return std::ranges::max(elements, {}, [](double x) { return std::abs(x); });
  }

  void grow() {
    const char* types[] = {"scale", "scale", "tanh", "relu", "add", "add", "multiply", "blocked", "flatten", "count"};
    const ValueId x = any_value();
    const std::string type = std::abs(largest(x)) > 4 ? "tanh" : types[below(10)];
    std::vector<ValueId> inputs{x};
    if (type == "multiply") inputs.push_back(partner(x));
    for (int more = type == "add" ? 1 + below(3) : 0; more > 0; --more) inputs.push_back(partner(x));
    values_.push_back(add(type, inputs));
    if (below(6) == 0) keep.push_back(values_.back());
    if (below(5) == 0) rig.graph.freeze(static_cast<int>(rig.graph.nodes().size()) - 1);
  }
  ValueId add(const std::string& type, const std::vector<ValueId>& inputs) {
    const float weight = uniform();
    weights.push_back(weight);
    return rig.add(type + std::to_string(rig.graph.nodes().size()), type, inputs, weight);
  }

  std::mt19937 random_;
  std::vector<ValueId> values_;
};

void expect_near(double found, double expected) {
  EXPECT_NEAR(found, expected, 1e-4 * std::max(1.0, std::abs(expected)));
}

void expect_values(RandomNetwork& network, const Naive& naive) {
  ProgramRig& rig = network.rig;
  expect_near(rig.parameters().control()[kLossSum], naive.loss);
  for (ValueId value : network.keep) {
    const std::vector<float> found = rig.kept(value);
    for (size_t i = 0; i < kElements; ++i) expect_near(found[i], naive.values[static_cast<size_t>(value.index)][i]);
  }
}

void expect_gradients(RandomNetwork& network, const Naive& naive) {
  ProgramRig& rig = network.rig;
  for (size_t n = 0; n < rig.graph.nodes().size(); ++n) {
    const Graph::Node& node = rig.graph.nodes()[n];
    if (node.layer->type() == "scale" && !node.frozen) expect_near(rig.gradient(node.name), naive.weight_gradients[n]);
  }
}

void expect_sound(const MemoryPlan& memory) {
  EXPECT_GE(memory.arena_bytes, memory.live_peak_bytes);
  EXPECT_LE(memory.arena_bytes, memory.total_bytes);
  for (size_t a = 0; a < memory.lifetimes.size(); ++a) {
    const Lifetime& x = memory.lifetimes[a];
    EXPECT_LE(memory.offsets[a] + x.bytes, memory.arena_bytes);
    for (size_t b = 0; b < a; ++b) {
      const Lifetime& y = memory.lifetimes[b];
      const bool together = x.first <= y.last && y.first <= x.last;
      const bool apart =
          memory.offsets[a] + x.bytes <= memory.offsets[b] || memory.offsets[b] + y.bytes <= memory.offsets[a];
      EXPECT_TRUE(!together || apart) << "values " << a << " and " << b;
    }
  }
}

TEST(RandomPrograms, EqualTheNaiveEvaluation) {
  for (unsigned seed = 0; seed < 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomNetwork network(seed);
    const Naive naive = evaluate(network.rig.graph, network.image, network.weights);
    network.rig.compile({.keep = network.keep});
    expect_sound(network.rig.program().memory());
    network.rig.run_poisoned();
    expect_values(network, naive);
    expect_gradients(network, naive);
  }
}

TEST(RandomPrograms, EvaluateOverWhatNobodyReadsAnyMore) {
  int in_place = 0;
  for (unsigned seed = 0; seed < 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomNetwork network(seed);
    const Naive naive = evaluate(network.rig.graph, network.image, network.weights);
    network.rig.compile({.mode = Mode::kEval, .keep = network.keep});
    expect_sound(network.rig.program().memory());
    for (int run = 0; run < 2; ++run) {
      network.rig.parameters().control()[kLossSum] = 0;
      network.rig.run_poisoned();
      expect_values(network, naive);
    }
    const Plan plan = network.rig.program().plan();
    for (const Step& step : plan.steps()) in_place += step.detail.ends_with("in place") ? 1 : 0;
  }
  EXPECT_GT(in_place, 200);
}

// Gradients, statistics and control block.
std::vector<float> sums_of(RandomNetwork& network, const std::vector<NodeRange>& recompute) {
  network.rig.compile({.keep = network.keep, .recompute = recompute});
  expect_sound(network.rig.program().memory());
  network.rig.run_poisoned();
  const Parameters& parameters = network.rig.parameters();
  return {parameters.gradients(), parameters.gradients() + parameters.reduced_elements()};
}

TEST(RandomPrograms, RecomputedHaveEqualBits) {
  int recomputed = 0;
  for (unsigned seed = 0; seed < 400 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomNetwork network(seed);
    const Naive naive = evaluate(network.rig.graph, network.image, network.weights);
    const std::vector<float> plain = sums_of(network, {});
    for (const int64_t bytes : {1, 2000}) {
      EXPECT_EQ(sums_of(network, cut_where_one_value_lives(network.rig.graph, bytes)), plain);
      expect_values(network, naive);
      for (const std::string& name : network.rig.step_names()) recomputed += name.ends_with(" recomputed") ? 1 : 0;
    }
    EXPECT_EQ(sums_of(network, recompute_for_least_memory(network.rig.graph)), plain);
  }
  EXPECT_GT(recomputed, 1000);
}

TEST(RandomPrograms, RepeatWithEqualBits) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    RandomNetwork network(seed);
    network.rig.compile();
    const Parameters& parameters = network.rig.parameters();
    const auto gradients = [&] {
      return std::vector<float>(parameters.gradients(), parameters.gradients() + parameters.trainable_elements());
    };
    network.rig.run_poisoned();
    const std::vector<float> first = gradients();
    network.rig.run_poisoned();
    EXPECT_EQ(gradients(), first) << "seed " << seed;
  }
}

}  // namespace
}  // namespace convoy
