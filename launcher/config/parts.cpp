#include "launcher/config/parts.h"

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
  Node tree = parse_yaml(text, source);
  interpolate(tree);
  return tree;
}

}  // namespace

std::string show(const ModelConfig& model) { return printed(model); }
std::string show(const OptimizerConfig& optimizer) { return printed(optimizer); }

ModelConfig parse_model(const std::string& text, const std::string& source) {
  ModelConfig model;
  bind_section(parsed(text, source), "model", model);
  return model;
}

OptimizerConfig parse_optimizer(const std::string& text, const std::string& source) {
  OptimizerConfig optimizer;
  bind_section(parsed(text, source), "optimizer", optimizer);
  return optimizer;
}

}  // namespace convoy
