// The network: layers and the values between them, in an order in which they can run.  No device, no memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/graph/layer.h"

namespace convoy {

struct ValueId {
  int index = -1;
  friend bool operator==(const ValueId&, const ValueId&) = default;
};

class Graph {
 public:
  struct Node {
    std::string name;  // unique; parameters are called name.weight, …
    std::unique_ptr<Layer> layer;
    std::vector<ValueId> inputs;
    ValueId output;
    std::string where;              // "model.yaml:12:5", for messages
    bool frozen = false;            // parameters get no gradient
    float learning_rate_scale = 1;  // of its parameters
    bool zero_weight = false;       // its `weight` starts at 0, whatever the layer says
  };

  // A value that comes from outside: "image" u8 [N,H,W,C], "target" i32 [N,1,1,3].
  ValueId input(std::string name, const Shape& shape, Dtype dtype);
  // Throws Error(kConfig) that begins with `where` when the layer refuses these inputs or the name is taken.
  ValueId add(std::string name, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs, std::string where = "");

  struct Input {
    std::string name;
    ValueId value;
    ValueType type;
  };
  const std::vector<Input>& inputs() const { return inputs_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const Shape& shape(ValueId value) const { return shapes_[static_cast<size_t>(value.index)]; }
  std::vector<Shape> input_shapes(const Node& node) const;
  int values() const { return static_cast<int>(shapes_.size()); }
  void freeze(int node) { nodes_[static_cast<size_t>(node)].frozen = true; }
  void start_weight_at_zero(int node) { nodes_[static_cast<size_t>(node)].zero_weight = true; }
  void scale_learning_rate(int node, float scale) { nodes_[static_cast<size_t>(node)].learning_rate_scale = scale; }

  void replace_layer(int node, std::unique_ptr<Layer> layer);  // of the same type, inputs and output
  // Removes the nodes that `needed` does not depend on.
  void keep_only(ValueId needed);

  // Index of the only node that reads `value`, or -1 when none or several do.
  int only_reader(ValueId value) const;
  // For rewrite rules: `second` becomes `layer`, reading `inputs`, under the name of `first`; `first` disappears.
  // Requires: second is the only reader of first's output.
  void fuse(int first, int second, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs);

 private:
  ValueId new_value(const Shape& shape);
  std::vector<Input> inputs_;
  std::vector<Node> nodes_;
  std::vector<Shape> shapes_;  // by value
};

}  // namespace convoy
