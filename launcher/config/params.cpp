#include "launcher/config/params.h"

#include <algorithm>

#include "launcher/config/visitors.h"

namespace convoy {
namespace {

std::vector<LayerConfig> to_layers(const Node& node, const std::string& path) {
  std::vector<LayerConfig> layers;
  bind_value(node, path, {}, layers);
  return layers;
}

}  // namespace

const Node* Params::find(std::string_view key) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.push_back(key);
  return layer_.parameters.find(key);
}

const Node& Params::require(std::string_view key) {
  const Node* node = find(key);
  if (node != nullptr) return *node;
  // A misspelt required key is both unknown and missing; the near miss among the given keys explains more.
  for (const Node& given : layer_.parameters.children) {
    const std::string hint = did_you_mean(given.key, std::array{key});
    const bool known = std::find(asked_.begin(), asked_.end(), given.key) != asked_.end();
    if (!known && hint.ends_with('?')) config_error(given.key_where, path(given.key), "unknown key" + hint);
  }
  config_error(layer_.where, path(key), "required key is missing");
}

int Params::integer(std::string_view key, const Range& range) {
  return to_integer_of<int>(require(key), path(key), range);
}

int Params::integer_or(std::string_view key, int otherwise, const Range& range) {
  return find(key) == nullptr ? otherwise : integer(key, range);
}

double Params::number(std::string_view key, const Range& range) { return to_number(require(key), path(key), range); }

double Params::number_or(std::string_view key, double otherwise, const Range& range) {
  return find(key) == nullptr ? otherwise : number(key, range);
}

bool Params::boolean_or(std::string_view key, bool otherwise) {
  const Node* node = find(key);
  return node == nullptr ? otherwise : to_boolean(*node, path(key));
}

std::string Params::text(std::string_view key) { return to_text(require(key), path(key)); }

std::string Params::text_or(std::string_view key, std::string_view otherwise) {
  return find(key) == nullptr ? std::string(otherwise) : text(key);
}

std::vector<std::string> Params::texts(std::string_view key) {
  const Node& node = require(key);
  require_list(node, path(key));
  std::vector<std::string> texts;
  for (size_t i = 0; i < node.children.size(); ++i) {
    texts.push_back(to_text(node.children[i], child_path(path(key), i)));
  }
  return texts;
}

std::string Params::choice_or(std::string_view key, std::string_view otherwise,
                              std::span<const std::string_view> choices) {
  const Node* node = find(key);
  return std::string(node == nullptr ? otherwise : choices[to_choice(*node, path(key), choices)]);
}

Params::NamedNumber Params::named_number_or(std::string_view key, std::string_view otherwise,
                                            std::span<const std::string_view> names,
                                            std::span<const std::string_view> with_number) {
  const Node* node = find(key);
  if (node == nullptr) return {std::string(otherwise), {}};
  if (node->kind != Node::Kind::kMap) return {std::string(names[to_choice(*node, path(key), names)]), {}};
  if (node->children.size() != 1) wrong_value(*node, path(key), "a name or one {name: number}");
  refuse_unknown_keys(*node, path(key), with_number);
  const Node& number = node->children.front();
  return {number.key, to_number(number, child_path(path(key), number.key), Range{})};
}

Params::Pair Params::to_pair(const Node& node, std::string_view key, const Range& range) const {
  if (node.kind != Node::Kind::kList) {
    const int both = to_integer_of<int>(node, path(key), range);
    return {both, both};
  }
  if (node.children.size() != 2) wrong_value(node, path(key), "an integer or a list of 2");
  Pair values{};
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = to_integer_of<int>(node.children[i], child_path(path(key), i), range);
  }
  return values;
}

Params::Pair Params::pair(std::string_view key, const Range& range) { return to_pair(require(key), key, range); }

Params::Pair Params::pair_or(std::string_view key, Pair otherwise, const Range& range) {
  return find(key) == nullptr ? otherwise : pair(key, range);
}

std::variant<Params::Pair, std::string> Params::pair_or_word(std::string_view key, Pair otherwise, const Range& range,
                                                             std::span<const std::string_view> words) {
  const Node* node = find(key);
  if (node == nullptr) return otherwise;
  const bool word =
      node->kind == Node::Kind::kScalar && std::find(words.begin(), words.end(), node->text) != words.end();
  if (word) return node->text;
  const bool looks_numeric =
      node->kind == Node::Kind::kList || (!node->quoted && node->text.find_first_of("0123456789") != std::string::npos);
  if (!looks_numeric) wrong_value(*node, path(key), "an integer" + range.text() + ", " + join(words, " or "));
  return to_pair(*node, key, range);
}

Params::Sides Params::sides(std::string_view key, const Range& range) {
  const Node& node = require(key);
  const bool list = node.kind == Node::Kind::kList;
  if (!list || node.children.size() == 2) {
    const auto [vertical, horizontal] = to_pair(node, key, range);
    return {vertical, vertical, horizontal, horizontal};
  }
  Sides values{};
  if (node.children.size() != values.size()) wrong_value(node, path(key), "an integer or a list of 2 or 4");
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = to_integer_of<int>(node.children[i], child_path(path(key), i), range);
  }
  return values;
}

std::vector<LayerConfig> Params::layers(std::string_view key) { return to_layers(require(key), path(key)); }

std::vector<LayerConfig> Params::layers_or(std::string_view key) {
  const Node* node = find(key);
  return node == nullptr ? std::vector<LayerConfig>{} : to_layers(*node, path(key));
}

std::vector<std::vector<LayerConfig>> Params::branches(std::string_view key) {
  const Node& node = require(key);
  require_list(node, path(key));
  std::vector<std::vector<LayerConfig>> branches;
  for (size_t i = 0; i < node.children.size(); ++i) {
    branches.push_back(to_layers(node.children[i], child_path(path(key), i)));
  }
  return branches;
}

void Params::done() const { refuse_unknown_keys(layer_.parameters, layer_.path, asked_); }

void Params::fail(std::string_view key, std::string_view message) const {
  const Node* node = layer_.parameters.find(key);
  config_error(node == nullptr ? layer_.where : node->where, path(key), message);
}

void Params::fail(std::string_view message) const { config_error(layer_.where, layer_.path, message); }

}  // namespace convoy
