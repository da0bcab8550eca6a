#include "launcher/config/visitors.h"

#include <regex>
#include <utility>

namespace convoy {

std::string bind_text(const Node& node, const std::string& path, const Key& key) {
  std::string text = to_text(node, path);
  if (key.is_path) return resolve_path(text, node.where);
  if (!key.pattern.empty() && !std::regex_match(text, std::regex(std::string(key.pattern)))) {
    wrong_value(node, path, "text like " + std::string(key.pattern));
  }
  return text;
}

LayerConfig bind_layer(const Node& node, const std::string& path) {
  if (node.kind == Node::Kind::kScalar) {
    return {to_text(node, path), Node{.kind = Node::Kind::kMap, .where = node.where}, node.where,
            child_path(path, node.text)};
  }
  if (node.kind != Node::Kind::kMap || node.children.size() != 1) {
    wrong_value(node, path, "a layer like relu or {conv2d: {filters: 32, kernel: 3}}");
  }
  const Node& only = node.children.front();
  LayerConfig layer{only.key, only, only.key_where, child_path(path, only.key)};
  require_map(only, layer.path);
  return layer;
}

Node plain_node(std::string text) { return {.kind = Node::Kind::kScalar, .text = std::move(text)}; }

Node text_node(const std::string& text) {
  return {.kind = Node::Kind::kScalar, .text = text, .quoted = needs_quotes(text)};
}

Node layer_node(const LayerConfig& layer) {
  if (layer.parameters.children.empty()) return text_node(layer.type);
  Node item{.kind = Node::Kind::kMap};
  item.children.push_back(layer.parameters);
  item.children.back().key = layer.type;
  return item;
}

}  // namespace convoy
