#include "launcher/config/blocks.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/config/values.h"

namespace convoy {
namespace {

constexpr int kMostNodes = 9000;            // of a model; leaves room for the other sections of an experiment: yaml.h
constexpr size_t kMostLevels = 30;          // likewise: a model is two levels down
constexpr size_t kMostNested = 32;          // blocks within blocks
constexpr size_t kLongestText = 4096;       // as to_text() has it
constexpr std::string_view kCounter = "i";  // of repeat
constexpr std::array<std::string_view, 2> kLayerLists = {"layers", "shortcut"};  // keys of a layer that hold layers
constexpr std::string_view kBranches = "branches";                               // a list of such lists

using Substitutes = std::map<std::string, Node, std::less<>>;  // what `$name` stands for

// ---- $name in a text

bool is_name_start(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name_part(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

size_t end_of_name(std::string_view text, size_t at) {
  if (at >= text.size() || !is_name_start(text[at])) return at;
  while (at < text.size() && is_name_part(text[at])) ++at;
  return at;
}

struct Reference {
  size_t begin, end;  // of `$name` or `$(name)`
  std::string_view name;
};

std::optional<Reference> next_reference(std::string_view text, size_t from) {
  for (size_t at = text.find('$', from); at != std::string_view::npos; at = text.find('$', at + 1)) {
    const bool closed = text.substr(at + 1, 1) == "(";
    const size_t begin = at + (closed ? 2 : 1), end = end_of_name(text, begin);
    if (end == begin || (closed && text.substr(end, 1) != ")")) continue;
    return Reference{at, end + (closed ? 1 : 0), text.substr(begin, end - begin)};
  }
  return std::nullopt;
}

// The value that `name` stands for, or null: the text stays as it is.
const Node* find(const Substitutes& substitutes, std::string_view name) {
  const auto found = substitutes.find(name);
  return found == substitutes.end() ? nullptr : &found->second;
}

// The one thing that a scalar stands for when it is nothing but `$name`.
const Node* whole(const Node& node, const Substitutes& substitutes) {
  const std::optional<Reference> reference = next_reference(node.text, 0);
  const bool alone = reference && reference->begin == 0 && reference->end == node.text.size();
  return alone ? find(substitutes, reference->name) : nullptr;
}

// A counter that stands for nothing yet is closed, `$i` as `$(i)`, so that text may follow it.
void replace_in_text(Node& node, const Substitutes& substitutes, const std::string& path) {
  std::string out;
  size_t done = 0;
  while (const auto reference = next_reference(node.text, done)) {
    const Node* value = find(substitutes, reference->name);
    const std::string name(reference->name);
    const std::string written = node.text.substr(reference->begin, reference->end - reference->begin);
    out += node.text.substr(done, reference->begin - done);
    done = reference->end;
    if (value != nullptr && value->kind != Node::Kind::kScalar) {
      wrong_value(*value, path, "one word or number for " + written + " in '" + node.text + "'");
    }
    out += value != nullptr ? value->text : name == kCounter ? "$(" + name + ")" : written;
    if (out.size() > kLongestText) config_error(node.where, path, "more than 4096 bytes of text");
  }
  node.text = out + node.text.substr(done);
}

bool is_repeat(const Node& item) {
  return item.kind == Node::Kind::kMap && item.children.size() == 1 && item.children[0].key == "repeat";
}

size_t depth(const Node& node) {
  size_t below = 0;
  for (const Node& child : node.children) below = std::max(below, depth(child));
  const bool collection = node.kind == Node::Kind::kList || node.kind == Node::Kind::kMap;
  return below + (collection ? 1 : 0);
}

// ---- Definitions

struct Block {
  std::map<std::string, std::optional<Node>, std::less<>> parameters = {};  // with their defaults
  const Node* layers = nullptr;                                             // of the file
  Mark where = {};
};

// Every `$name` of a definition is a parameter or the counter of a repeat.
void check_references(const Node& node, const std::string& path, const Block& block) {
  for (auto reference = next_reference(node.text, 0); reference;
       reference = next_reference(node.text, reference->end)) {
    const std::string_view name = reference->name;
    if (name == kCounter || block.parameters.contains(name)) continue;
    std::vector<std::string_view> known;
    for (const auto& [parameter, value] : block.parameters) known.push_back(parameter);
    config_error(
        node.where, path,
        "the block has no parameter '" + std::string(name) + "'" + (known.empty() ? "" : did_you_mean(name, known)));
  }
  for (size_t i = 0; i < node.children.size(); ++i) {
    const Node& child = node.children[i];
    check_references(child, node.kind == Node::Kind::kList ? child_path(path, i) : child_path(path, child.key), block);
  }
}

void add_parameter(Block& block, const Node& node, const std::string& path) {
  const bool with_default = node.kind == Node::Kind::kMap && node.children.size() == 1;
  const Node* value = with_default ? node.children.data() : nullptr;
  if (!with_default && node.kind != Node::Kind::kScalar) wrong_value(node, path, "a name, or a name and its default");
  const std::string name = with_default ? value->key : node.text;
  const Mark& where = with_default ? value->key_where : node.where;
  if (name.empty() || end_of_name(name, 0) != name.size()) {
    config_error(where, path, "expected a name of letters, digits and '_', found '" + name + "'");
  }
  if (name == kCounter) config_error(where, path, "'i' is the counter of repeat; expected another name");
  if (value != nullptr) check_references(*value, child_path(path, name), {});
  const auto [place, added] =
      block.parameters.emplace(name, value == nullptr ? std::nullopt : std::optional<Node>(*value));
  if (!added) config_error(where, path, "two parameters are called '" + name + "'");
}

Block to_block(const Node& node, const std::string& path) {
  require_map(node, path);
  refuse_unknown_keys(node, path, std::array<std::string_view, 2>{"parameters", "layers"});
  Block block{.parameters = {}, .layers = node.find("layers"), .where = node.key_where};
  if (block.layers == nullptr) config_error(node.key_where, child_path(path, "layers"), "required key is missing");
  require_list(*block.layers, child_path(path, "layers"));
  if (const Node* parameters = node.find("parameters")) {
    const std::string below = child_path(path, "parameters");
    require_list(*parameters, below);
    for (size_t i = 0; i < parameters->children.size(); ++i) {
      add_parameter(block, parameters->children[i], child_path(below, i));
    }
  }
  check_references(*block.layers, child_path(path, "layers"), block);
  return block;
}

// ---- Uses

class Expansion {
 public:
  Expansion(const Node& blocks, const std::string& path) {
    for (const Node& node : blocks.children) blocks_.emplace(node.key, to_block(node, child_path(path, node.key)));
  }

  // In a list of layers, and in those within.
  void expand(Node& list, const std::string& path) {
    if (list.kind != Node::Kind::kList) return;  // what is wrong with it is told by who reads it
    std::vector<Node> items;
    for (Node& item : list.children) append(items, std::move(item), path);
    list.children = std::move(items);
  }

 private:
  void append(std::vector<Node>& items, Node item, const std::string& list_path) {
    const bool map = item.kind == Node::Kind::kMap && item.children.size() == 1;
    const std::string type = map ? item.children[0].key : item.text;
    const std::string path = child_path(child_path(list_path, items.size()), type);
    const auto block = blocks_.find(type);
    if (block != blocks_.end()) return append_block(items, block->first, block->second, item, list_path, path);
    if (map) expand_below(item.children[0], path);
    items.push_back(std::move(item));
  }

  void append_block(std::vector<Node>& items, const std::string& name, const Block& block, const Node& use,
                    const std::string& list_path, const std::string& path) {
    const Mark& where = use.children.empty() ? use.where : use.children[0].key_where;
    if (++nested_ > kMostNested) {
      config_error(where, path, "blocks are nested deeper than 32; does '" + name + "' contain itself?");
    }
    const Substitutes values = arguments(block, use, path);
    spend(where, path);
    for (const Node& layer : block.layers->children) {
      append(items, instance(layer, values, where, path), list_path);
    }
    --nested_;
  }

  Substitutes arguments(const Block& block, const Node& use, const std::string& path) const {
    static const Node kNone{.kind = Node::Kind::kMap};
    const Node& given = use.children.empty() ? kNone : use.children[0];
    require_map(given, path);
    const std::string definition = "the block at " + block.where.text();
    std::vector<std::string_view> known;
    for (const auto& [parameter, value] : block.parameters) known.push_back(parameter);
    Substitutes values;
    for (const Node& argument : given.children) {
      if (!block.parameters.contains(argument.key)) {
        config_error(argument.key_where, child_path(path, argument.key),
                     definition + " has no such parameter" + (known.empty() ? "" : did_you_mean(argument.key, known)));
      }
      replace_in_text(values[argument.key] = argument, {}, path);
    }
    for (const auto& [parameter, value] : block.parameters) {
      if (values.contains(parameter)) continue;
      const Mark& where = use.children.empty() ? use.where : given.key_where;
      if (!value) config_error(where, child_path(path, parameter), definition + " requires it");
      replace_in_text(values[parameter] = *value, {}, path);
    }
    return values;
  }

  // A copy of a node of the definition with the values put in.
  Node instance(const Node& node, const Substitutes& values, const Mark& use, const std::string& path) {
    spend(use, path);
    Node copy{.kind = node.kind,
              .text = node.text,
              .quoted = node.quoted,
              .where = node.where,
              .children = {},
              .key = node.key,
              .key_where = node.key_where};
    if (const Node* value = whole(node, values)) {
      spend(use, path, count_values(*value));
      copy.kind = value->kind;
      copy.text = value->text;
      copy.quoted = value->quoted;
      copy.children = value->children;
    } else {
      replace_in_text(copy, values, path);
      for (const Node& child : node.children) copy.children.push_back(instance(child, values, use, path));
    }
    copy.where.used_at = copy.key_where.used_at = use.text();
    return copy;
  }

  void expand_below(Node& layer, const std::string& path) {
    for (Node& child : layer.children) {
      const std::string below = child_path(path, child.key);
      if (std::ranges::find(kLayerLists, child.key) != kLayerLists.end()) expand(child, below);
      if (child.key != kBranches || child.kind != Node::Kind::kList) continue;
      for (size_t i = 0; i < child.children.size(); ++i) expand(child.children[i], child_path(below, i));
    }
  }

  // Counts what is made, before it is made.
  void spend(const Mark& where, const std::string& path, int nodes = 1) {
    made_ += nodes;
    if (made_ > kMostNodes) {
      config_error(where, path, "the blocks come to more than " + std::to_string(kMostNodes) + " values");
    }
  }

  std::map<std::string, Block, std::less<>> blocks_;
  int made_ = 0;       // nodes of instances
  size_t nested_ = 0;  // blocks that are being expanded
};

}  // namespace

void expand_blocks(Node& model, const std::string& path) {
  const Node* found = model.find("blocks");
  if (found == nullptr) return;
  const Node blocks = *found;
  require_map(blocks, child_path(path, "blocks"));
  std::erase_if(model.children, [](const Node& child) { return child.key == "blocks"; });
  Expansion expansion(blocks, child_path(path, "blocks"));
  for (const char* key : {"layers", "top"}) {
    if (Node* list = model.find(key)) expansion.expand(*list, child_path(path, key));
  }
  if (count_values(model) > kMostNodes) {
    config_error(model.where, path, "more than " + std::to_string(kMostNodes) + " values with its blocks");
  }
  if (depth(model) > kMostLevels) {
    config_error(model.where, path, "nested deeper than " + std::to_string(kMostLevels) + " levels with its blocks");
  }
}

int count_values(const Node& node) {
  int values = 1;
  for (const Node& child : node.children) values += count_values(child);
  return values;
}

void substitute_counter(Node& node, int i) {
  if (is_repeat(node)) return;
  if (node.kind == Node::Kind::kScalar) {
    const Substitutes values = {{std::string(kCounter), Node{.kind = Node::Kind::kScalar, .text = std::to_string(i)}}};
    const bool alone = whole(node, values) != nullptr;
    replace_in_text(node, values, "");
    if (alone) node.quoted = false;
  }
  for (Node& child : node.children) substitute_counter(child, i);
}

}  // namespace convoy
