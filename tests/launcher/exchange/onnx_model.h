// ONNX models to order, and networks with weights that tell where each element came from.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "launcher/config/parts.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"

namespace convoy {

// A network whose weights count up from 1, in our order of elements.
inline Network counting_network(const std::string& model, const Shape& sample) {
  Network network;
  network.config = parse_model(model, "test.yaml");
  network.sample = sample;
  network.model = build_model(network.config, {}, sample, {.training = false, .normalize = false, .rewrite = false});
  for (const WeightPlace& place : weight_places(network.model.graph)) {
    std::vector<float>& values = network.weights[place.name];
    values.resize(static_cast<size_t>(place.shape.elements()));
    float value = 0;
    for (float& element : values) element = ++value;
  }
  return network;
}

// What a user gets who opens the file.
inline Network opened_network(const ForeignModel& file) {
  Network network;
  network.config = parse_model(file.model, file.path);
  const auto [h, w, c] = file.shape.value();
  network.sample = {1, h, w, c};
  network.model =
      build_model(network.config, {}, network.sample, {.training = false, .normalize = false, .rewrite = false});
  MatchedWeights matched = match_weights(weight_places(network.model.graph), file);
  require_complete(matched, file);
  network.weights = std::move(matched.weights);
  network.preprocessing = file.preprocessing;
  network.class_names = file.class_names;
  return network;
}

// A graph that is written node by node; its input is "x" [N,3,8,8], its output that of the last node.
class OnnxGraph {
 public:
  explicit OnnxGraph(int64_t opset = 13, const std::vector<int64_t>& input = {-1, 3, 8, 8}) {
    model.ir_version = 7;
    model.opset = opset;
    OnnxValue x{"x", OnnxType::kFloat, {}};
    x.dims.emplace();
    for (const int64_t size : input) x.dims->push_back({size, size < 0 ? "N" : ""});
    model.inputs = {x};
  }

  OnnxGraph& node(std::string op_type, std::vector<std::string> inputs, std::string output,
                  std::vector<OnnxAttribute> attributes = {}) {
    model.nodes.push_back({output, std::move(op_type), std::move(inputs), {output}, std::move(attributes)});
    model.outputs = {{output, OnnxType::kFloat, {}}};
    return *this;
  }

  // Elements count up from 1.
  OnnxGraph& weight(std::string name, std::vector<int64_t> dims) {
    int64_t count = 1;
    for (const int64_t dim : dims) count *= dim;
    std::vector<float> values;
    for (int64_t i = 1; i <= count; ++i) values.push_back(static_cast<float>(i));
    return floats(std::move(name), std::move(dims), std::move(values));
  }
  OnnxGraph& floats(std::string name, std::vector<int64_t> dims, std::vector<float> values) {
    model.initializers.push_back(onnx_floats(std::move(name), std::move(dims), std::move(values)));
    return *this;
  }
  OnnxGraph& integers(std::string name, std::vector<int64_t> values) {
    model.initializers.push_back(onnx_integers(std::move(name), std::move(values)));
    return *this;
  }

  ForeignModel read() const { return from_onnx(model, "m.onnx"); }

  OnnxModel model;
};

}  // namespace convoy
