// Networks with made-up weights, as a reader would have them, and what they answer layer by layer; for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/program.h"
#include "launcher/config/parts.h"
#include "launcher/exchange/network.h"
#include "layers/registry.h"

namespace convoy {

// Numbers in [-1, 1], the same for equal seeds.
inline std::vector<float> numbers(int64_t count, int seed) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    values[static_cast<size_t>(i)] = static_cast<float>(std::sin(static_cast<double>(i * i % 10007 + 31 * seed)));
  }
  return values;
}

// Of the text of a model file.  Variances are above 0, weights as large as layers start with.
inline Network network_of(const std::string& text, const Shape& sample) {
  Network network;
  network.config = parse_model(text, "model.yaml");
  network.sample = sample;
  network.model = build_model(network.config, {}, sample, {.training = false, .normalize = false, .rewrite = false});
  int seed = 0;
  for (const Graph::Node& node : network.model.graph.nodes()) {
    const std::vector<Shape> inputs = network.model.graph.input_shapes(node);
    for (const ParameterSpec& spec : node.layer->parameters(inputs)) {
      std::vector<float>& values = network.weights[node.name + "." + spec.name];
      values = numbers(spec.shape.elements(), ++seed);
      const auto fan_in = static_cast<float>(spec.shape.h * spec.shape.w * spec.shape.c);
      if (spec.shape.n > 1) std::ranges::for_each(values, [&](float& value) { value *= 2 / std::sqrt(fan_in); });
    }
    for (const StateSpec& spec : node.layer->state(inputs)) {
      std::vector<float>& values = network.weights[node.name + "." + spec.name];
      values = numbers(spec.shape.elements(), ++seed);
      if (spec.name == "running_variance") {
        std::ranges::for_each(values, [](float& value) { value = 0.05F + std::abs(value); });
      }
    }
  }
  return network;
}

// Logits of one image after the other, f32 [H,W,C] as the first layer reads it, by the graph as it is.
inline std::vector<float> plain_logits(const Network& network, const std::vector<float>& images) {
  const Graph& graph = network.model.graph;
  const std::unique_ptr<Device> device = make_cpu_device(1);
  Parameters parameters(graph, device->allocator(), device->allocator());
  for (const ParameterSlot& slot : parameters.slots()) {
    std::ranges::copy(network.weights.at(slot.name), parameters.value(slot).as<float>());
  }
  for (const StateSlot& slot : parameters.state_slots()) {
    std::ranges::copy(network.weights.at(slot.name), parameters.state(slot).as<float>());
  }
  Program program(graph, parameters, *make_cpu_kernels(), {.mode = Mode::kEval, .keep = {network.model.logits}});
  const Buffer arena(device->allocator(), program.memory().arena_bytes);
  const ValueType& type = graph.inputs().front().type;
  const Buffer image(device->allocator(), type.bytes());
  const StepScalars scalars;
  program.bind(arena.data(), parameters, {{"image", {image.data(), type}}}, &scalars, device->compute());
  const Plan plan = program.plan();
  std::vector<float> logits;
  const auto each = static_cast<size_t>(network.sample.elements());
  for (size_t at = 0; at < images.size(); at += each) {
    std::copy_n(images.begin() + static_cast<std::ptrdiff_t>(at), each, image.as<float>());
    plan.run();
    const Tensor found = program.value(network.model.logits);
    logits.insert(logits.end(), found.as<float>(), found.as<float>() + found.type.shape.elements());
  }
  return logits;
}

// The largest difference, as a part of the largest of `wanted`.
inline double worst_error(const std::vector<float>& found, const std::vector<float>& wanted) {
  CHECK(found.size() == wanted.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    worst = std::max(worst, std::abs(double{found[i]} - double{wanted[i]}));
    largest = std::max(largest, std::abs(double{wanted[i]}));
  }
  return worst / largest;
}

}  // namespace convoy
