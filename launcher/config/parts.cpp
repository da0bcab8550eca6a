#include "launcher/config/parts.h"

#include <algorithm>

#include "launcher/config/compose.h"
#include "launcher/config/visitors.h"

namespace convoy {
namespace {

template <class T>
std::string printed(const T& section) {
  Node tree = to_node(section);
  escape_interpolation(tree);
  return to_yaml(tree);
}

Node parsed(const std::string& text, const std::string& source) {
  Node tree = parse_yaml_value(text, source);  // printed by a program: nobody sees its lines
  unescape_interpolation(tree);
  return tree;
}

void substitute(Node& node, const std::string& number) {
  if (node.kind == Node::Kind::kScalar && !node.quoted && node.text == "classes") node.text = number;
  for (Node& child : node.children) substitute(child, number);
}

void substitute(std::vector<LayerConfig>& layers, int classes) {
  for (LayerConfig& layer : layers) substitute(layer.parameters, std::to_string(classes));
}

}  // namespace

void substitute_classes(ModelConfig& model) {
  substitute(model.layers, model.classes);
  substitute(model.top, model.classes);
  if (!model.base) return;
  if (model.base->classes == 0) model.base->classes = model.classes;
  substitute(model.base->layers, model.base->classes);
  substitute(model.base->top, model.base->classes);
}

void require_layers(const ModelConfig& model) {
  if (model.layers.empty() && !model.base) {
    config_error(model.where, "model.layers", "expected at least one layer, or model.config");
  }
  if (model.base && model.base->layers.empty()) {
    config_error(model.base->where, "model.base.layers", "expected at least one layer, or model.base.config");
  }
}

std::string show(const ModelConfig& model) { return printed(model); }
std::string show(const OptimizerConfig& optimizer) { return printed(optimizer); }
std::string show(const LossConfig& loss) { return printed(loss); }

std::string show_model_file(const ModelConfig& model, const std::array<int, 3>& shape) {
  Node tree = to_node(model);
  escape_interpolation(tree);
  Node made_for{.kind = Node::Kind::kMap};
  made_for.key = "made_for";
  made_for.children = {to_node(shape), to_node(model.classes)};
  made_for.children[0].key = "shape";
  made_for.children[1].key = "classes";
  const auto layers = std::ranges::find(tree.children, "layers", &Node::key);
  tree.children.insert(layers, std::move(made_for));
  return to_yaml(tree);
}

ModelConfig parse_model(const std::string& text, const std::string& source) {
  ModelConfig model;
  bind_section(parsed(text, source), "model", model);
  require_layers(model);
  model.weights.reset();
  if (model.base) model.base->weights.reset();
  return model;
}

OptimizerConfig parse_optimizer(const std::string& text, const std::string& source) {
  OptimizerConfig optimizer;
  bind_section(parsed(text, source), "optimizer", optimizer);
  if (optimizer.learning_rate.per) {
    throw Error(ExitCode::kConfig,
                source + ": optimizer.learning_rate: expected a number: nothing says of which batch");
  }
  return optimizer;
}

LossConfig parse_loss(const std::string& text, const std::string& source) {
  LossConfig loss;
  bind_section(parsed(text, source), "loss", loss);
  return loss;
}

}  // namespace convoy
