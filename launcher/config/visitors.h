// Visitors of describe.h that read a section from a tree and print it as one.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "launcher/config/compose.h"
#include "launcher/config/describe.h"
#include "launcher/config/values.h"

namespace convoy {

class KeyNames {
 public:
  template <class T>
  void key(const T&, const Key& key) {
    names.push_back(key.name);
  }
  void elsewhere(const Key& key) { names.push_back(key.name); }
  void place(const Mark&) {}

  std::vector<std::string_view> names;
};

template <class T>
concept Section = requires(KeyNames& visitor, T& section) { describe(visitor, section); };

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
concept List = !std::same_as<T, std::string> && requires(T list) {
  list.begin();
  list.size();
};

// The text of a string key; throws unless it fits the key's pattern.  Paths come back resolved.
std::string bind_text(const Node& node, const std::string& path, const Key& key);
LayerConfig bind_layer(const Node& node, const std::string& path);

template <class T>
void bind_value(const Node& node, const std::string& path, const Key& key, T& out);

// Fills the fields of one section from a map that has only known keys.
class BindKeys {
 public:
  BindKeys(const Node& map, const std::string& path) : map_(map), path_(path) {}

  template <class T>
  void key(T& field, const Key& key) {
    const Node* node = map_.find(key.name);
    const std::string path = child_path(path_, key.name);
    if (node != nullptr && !key.applies) config_error(node->key_where, path, "only for " + std::string(key.only_for));
    if (node != nullptr) return bind_value(*node, path, key, field);
    if (key.required && key.applies) config_error(map_.where, path, "required key is missing");
  }
  void elsewhere(const Key&) {}
  void place(Mark& where) { where = map_.where; }

 private:
  const Node& map_;
  std::string path_;
};

template <Section T>
void bind_section(const Node& node, const std::string& path, T& out) {
  require_map(node, path);
  KeyNames known;
  describe(known, out);
  refuse_unknown_keys(node, path, known.names);  // before "missing": a misspelt key is both
  BindKeys visitor(node, path);
  describe(visitor, out);
}

template <List T>
void bind_list(const Node& node, const std::string& path, const Key& key, T& out) {
  require_list(node, path);
  if constexpr (requires { out.resize(1); }) {
    out.clear();
    out.resize(node.children.size());
  } else if (node.children.size() != out.size()) {
    wrong_value(node, path, "a list of " + std::to_string(out.size()));
  }
  for (size_t i = 0; i < out.size(); ++i) bind_value(node.children[i], child_path(path, i), key, out[i]);
}

template <class T>
void bind_value(const Node& node, const std::string& path, const Key& key, T& out) {
  if constexpr (IsOptional<T>::value) {
    bind_value(node, path, key, out.emplace());
  } else if constexpr (std::same_as<T, LearningRate>) {
    if (node.kind == Node::Kind::kMap) return bind_section(node, path, out);
    out = {to_number(node, path, key.range)};
  } else if constexpr (Section<T>) {
    bind_section(node, path, out);
  } else if constexpr (std::same_as<T, LayerConfig>) {
    out = bind_layer(node, path);
  } else if constexpr (List<T>) {
    bind_list(node, path, key, out);
  } else if constexpr (std::is_enum_v<T>) {
    static constexpr auto kNames = names_of(T{});
    out = static_cast<T>(to_choice(node, path, kNames));
  } else if constexpr (std::same_as<T, bool>) {
    out = to_boolean(node, path);
  } else if constexpr (std::same_as<T, uint64_t>) {
    out = to_natural(node, path);
  } else if constexpr (std::integral<T>) {
    out = to_integer_of<T>(node, path, key.range);
  } else if constexpr (std::floating_point<T>) {
    out = to_number(node, path, key.range);
  } else {
    out = bind_text(node, path, key);
  }
}

Node plain_node(std::string text);
Node text_node(const std::string& text);  // quoted when needed
Node layer_node(const LayerConfig& layer);

template <class T>
Node to_node(const T& value);

// Collects the fields of one section as a map that BindKeys reads back: what applies and what is set.
class PrintKeys {
 public:
  template <class T>
  void key(const T& field, const Key& key) {
    if constexpr (IsOptional<T>::value) {
      if (field) add(to_node(*field), key);
    } else {
      add(to_node(field), key);
    }
  }
  void elsewhere(const Key&) {}
  void place(const Mark&) {}

  Node map{.kind = Node::Kind::kMap};

 private:
  void add(Node node, const Key& key) {
    if (!key.applies) return;
    node.key = key.name;
    map.children.push_back(std::move(node));
  }
};

template <class T>
Node to_node(const T& value) {
  if constexpr (std::same_as<T, LearningRate>) {
    if (!value.per) return to_node(value.base);
  }
  if constexpr (Section<T>) {
    PrintKeys visitor;
    T section = value;  // describe() takes one function for readers and printers, so it wants a mutable section
    describe(visitor, section);
    return visitor.map;
  } else if constexpr (std::same_as<T, LayerConfig>) {
    return layer_node(value);
  } else if constexpr (List<T>) {
    Node list{.kind = Node::Kind::kList};
    for (const auto& item : value) list.children.push_back(to_node(item));
    return list;
  } else if constexpr (std::is_enum_v<T>) {
    return plain_node(std::string(names_of(T{}).at(static_cast<size_t>(value))));
  } else if constexpr (std::same_as<T, bool>) {
    return plain_node(value ? "true" : "false");
  } else if constexpr (std::integral<T>) {
    return plain_node(std::to_string(value));
  } else if constexpr (std::floating_point<T>) {
    return plain_node(shortest(value));
  } else {
    return text_node(value);
  }
}

}  // namespace convoy
