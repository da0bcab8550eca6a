// Graphs of layers that have weights and nothing else; for tests of what ranks do with gradients.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

class Weights : public Layer {
 public:
  explicit Weights(int elements) : elements_(elements) {}
  std::string type() const override { return "weights"; }
  Shape shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  std::vector<ParameterSpec> parameters(std::span<const Shape>) const override {
    return {{"weight", {1, 1, 1, elements_}, {Initializer::Kind::kUniform, 1}}};
  }

 private:
  int elements_;
};

// "layer0", "layer1", … one behind the other, with so many elements each.
inline Graph layers_of(const std::vector<int>& elements) {
  Graph graph;
  ValueId value = graph.input("image", {}, Dtype::kF32);
  for (size_t i = 0; i < elements.size(); ++i) {
    value = graph.add("layer" + std::to_string(i), std::make_unique<Weights>(elements[i]), {value});
  }
  return graph;
}

}  // namespace convoy
