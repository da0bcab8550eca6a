#include "core/graph/graph.h"

#include <algorithm>

namespace convoy {

ValueId Graph::new_value(const Shape& shape) {
  shapes_.push_back(shape);
  return {static_cast<int>(shapes_.size()) - 1};
}

ValueId Graph::input(std::string name, const Shape& shape, Dtype dtype) {
  const ValueId value = new_value(shape);
  inputs_.push_back({std::move(name), value, {shape, dtype}});
  return value;
}

ValueId Graph::add(std::string name, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs, std::string where) {
  const std::string prefix = where.empty() ? "" : where + ": ";
  if (std::ranges::any_of(nodes_, [&](const Node& node) { return node.name == name; })) {
    throw Error(ExitCode::kConfig, prefix + "two layers are called '" + name + "'");
  }
  Node node{std::move(name), std::move(layer), std::move(inputs), {}, std::move(where), false, 1};
  try {
    node.output = new_value(node.layer->shape(input_shapes(node)));
  } catch (const Error& error) {
    throw Error(error.code(), prefix + node.layer->type() + " '" + node.name + "': " + error.what());
  }
  nodes_.push_back(std::move(node));
  return nodes_.back().output;
}

std::vector<Shape> Graph::input_shapes(const Node& node) const {
  std::vector<Shape> shapes;
  for (ValueId value : node.inputs) shapes.push_back(shape(value));
  return shapes;
}

void Graph::replace_layer(int node, std::unique_ptr<Layer> layer) {
  Node& it = nodes_[static_cast<size_t>(node)];
  CHECK(layer->type() == it.layer->type() && layer->shape(input_shapes(it)) == shape(it.output), it.name);
  it.layer = std::move(layer);
}

void Graph::keep_only(ValueId needed) {
  std::vector<bool> wanted(shapes_.size(), false);
  wanted[static_cast<size_t>(needed.index)] = true;
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {  // a node comes behind what it reads
    if (!wanted[static_cast<size_t>(node->output.index)]) continue;
    for (ValueId input : node->inputs) wanted[static_cast<size_t>(input.index)] = true;
  }
  std::erase_if(nodes_, [&](const Node& node) { return !wanted[static_cast<size_t>(node.output.index)]; });
}

int Graph::only_reader(ValueId value) const {
  int reader = -1;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (ValueId input : nodes_[i].inputs) {
      if (input != value) continue;
      if (reader != -1) return -1;
      reader = static_cast<int>(i);
    }
  }
  return reader;
}

void Graph::fuse(int first, int second, std::unique_ptr<Layer> layer, std::vector<ValueId> inputs) {
  Node& kept = nodes_[static_cast<size_t>(second)];
  Node& gone = nodes_[static_cast<size_t>(first)];
  CHECK(only_reader(gone.output) == second);
  kept.name = gone.name;
  kept.where = gone.where;
  kept.frozen = gone.frozen;
  kept.learning_rate_scale = gone.learning_rate_scale;
  kept.zero_weight = gone.zero_weight;
  kept.layer = std::move(layer);
  kept.inputs = std::move(inputs);
  CHECK(kept.layer->shape(input_shapes(kept)) == shape(kept.output), "a rewrite rule changed a shape");
  nodes_.erase(nodes_.begin() + first);
}

}  // namespace convoy
