#include "launcher/exchange/model_text.h"

#include <algorithm>
#include <cctype>

#include "launcher/config/values.h"

namespace convoy {
namespace {

constexpr size_t kLongestName = 90;  // the builder allows 100; a number may follow

Node list(std::vector<Node> children) {
  Node node{.kind = Node::Kind::kList};
  node.children = std::move(children);
  return node;
}

Node keyed(Node node, const std::string& key) {
  node.key = key;
  return node;
}

Node words(const std::vector<std::string>& texts) {
  std::vector<Node> children;
  for (const std::string& text : texts) children.push_back(yaml_word(text));
  return list(std::move(children));
}

// `- relu` or `- conv2d: {name: conv1, input: image, filters: 32}`; the layer before is the input of a layer that names
// none.
Node item(const ModelText::Layer& layer, const std::string& before) {
  Node parameters{.kind = Node::Kind::kMap};
  parameters.children.push_back(keyed(yaml_word(layer.name), "name"));
  const bool several = layer.inputs.size() > 1;
  if (several) parameters.children.push_back(keyed(words(layer.inputs), "inputs"));
  if (!several && layer.inputs.front() != before) {
    parameters.children.push_back(keyed(yaml_word(layer.inputs.front()), "input"));
  }
  for (const auto& [key, value] : layer.parameters) parameters.children.push_back(keyed(value, key));
  Node node{.kind = Node::Kind::kMap};
  node.children.push_back(keyed(std::move(parameters), layer.type));
  return node;
}

}  // namespace

Node yaml_word(std::string text) { return {.kind = Node::Kind::kScalar, .text = std::move(text)}; }
Node yaml_number(double value) { return yaml_word(shortest(value)); }
Node yaml_boolean(bool value) { return yaml_word(value ? "true" : "false"); }

Node yaml_pair(std::array<int, 2> pair) {
  return pair[0] == pair[1] ? yaml_number(pair[0]) : yaml_list({pair[0], pair[1]});
}

Node yaml_list(const std::vector<int>& numbers) {
  std::vector<Node> children;
  for (const int number : numbers) children.push_back(yaml_number(number));
  return list(std::move(children));
}

std::string legal_layer_name(const std::string& wanted) {
  std::string name = wanted.substr(0, kLongestName);
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; };
  std::ranges::replace_if(
      name, [&](unsigned char c) { return !allowed(c); }, '_');
  return name.empty() ? "layer" : name;
}

std::string LayerNames::take(const std::string& wanted) {
  const std::string name = legal_layer_name(wanted);
  if (wanted_.emplace(name, 1).second) return name;
  std::string unique;
  do {
    unique = name + "_" + std::to_string(++wanted_[name]);
  } while (!wanted_.emplace(unique, 1).second);
  return unique;
}

std::string ModelText::yaml(const std::string& name, int classes) const {
  Node root{.kind = Node::Kind::kMap};
  if (!name.empty()) root.children.push_back(keyed(yaml_word(name), "name"));
  if (classes > 0) root.children.push_back(keyed(yaml_number(classes), "classes"));
  std::vector<Node> items;
  std::string before = kImage;
  for (const Layer& layer : layers_) {
    items.push_back(item(layer, before));
    before = layer.name;
  }
  root.children.push_back(keyed(list(std::move(items)), "layers"));
  return to_yaml(root);
}

}  // namespace convoy
