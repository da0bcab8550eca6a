#include "launcher/config/compose.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "core/base/error.h"
#include "launcher/config/values.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxFiles = 100;  // bases of bases: a chain that doubles at each level ends here
constexpr int kMaxLevels = 8;   // dots in an override

void erase_key(Node& map, std::string_view key) {
  std::erase_if(map.children, [&](const Node& child) { return child.key == key; });
}

bool chooses(const Node& map, std::string_view key) {
  const Node* value = map.find(key);
  return value != nullptr && value->kind != Node::Kind::kNothing;
}

// The later file's choice between exclusive keys removes the inherited alternative.
void drop_excluded(Node& inherited, const Node& later, std::string_view path) {
  for (const auto& [section, one, other] : kExclusive) {
    if (section != path) continue;
    if (chooses(later, one) && !chooses(later, other)) erase_key(inherited, other);
    if (chooses(later, other) && !chooses(later, one)) erase_key(inherited, one);
  }
}

void merge(Node& into, Node later, const std::string& path) {
  if (into.kind != Node::Kind::kMap || later.kind != Node::Kind::kMap) {
    into = std::move(later);
    return;
  }
  if (later.where.in_file()) into.where = later.where;  // "missing key" then points at the file the user runs
  drop_excluded(into, later, path);
  for (Node& child : later.children) {
    Node* inherited = into.find(child.key);
    if (inherited == nullptr) {
      into.children.push_back(std::move(child));
    } else if (child.kind == Node::Kind::kNothing) {
      erase_key(into, child.key);
    } else {
      const std::string below = child_path(path, child.key);
      merge(*inherited, std::move(child), below);
    }
  }
}

// Reads a file and the files it is based on.
class FileStack {
 public:
  Node load(const std::string& path, const Mark& from) {
    Node tree = parse_yaml_file(path, from);
    require_map(tree, "");
    push(path, from);
    const Node* found = tree.find("base");
    if (found != nullptr) tree = on_top_of_bases(std::move(tree), Node(*found));
    open_.pop_back();
    return tree;
  }

 private:
  void push(const std::string& path, const Mark& from) {
    std::error_code error;
    const std::string canonical = fs::weakly_canonical(path, error).string();
    if (std::find(open_.begin(), open_.end(), canonical) != open_.end()) {
      std::string cycle;
      for (const std::string& file : open_) cycle += fs::path(file).filename().string() + " -> ";
      config_error(from, "base", "a file cannot inherit from itself: " + cycle + fs::path(path).filename().string());
    }
    if (++files_ > kMaxFiles) config_error(from, "base", "more than " + std::to_string(kMaxFiles) + " files");
    open_.push_back(canonical);
  }

  Node on_top_of_bases(Node tree, const Node& base) {
    erase_key(tree, "base");
    const bool several = base.kind == Node::Kind::kList;
    Node merged = Node{.kind = Node::Kind::kMap, .where = tree.where};
    for (size_t i = 0; i < (several ? base.children.size() : 1); ++i) {
      const Node& name = several ? base.children[i] : base;
      const std::string file = to_text(name, several ? child_path("base", i) : "base");
      merge(merged, load((fs::path(name.where.source).parent_path() / file).string(), name.where), "");
    }
    merge(merged, std::move(tree), "");
    return merged;
  }

  std::vector<std::string> open_;  // canonical paths, from the experiment down to the file being read
  int files_ = 0;
};

[[noreturn]] void bad_override(const std::string& text) {
  throw Error(ExitCode::kUsage, "command line: expected key=value like train.epochs=3, found '" + text + "'");
}

// "train.epochs=3" as the tree {train: {epochs: 3}}.
Node override_tree(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) bad_override(text);
  const std::string source = "command line: " + text;
  Node tree = parse_yaml_value(text.substr(equals + 1), source);
  std::string path = text.substr(0, equals);
  if (std::count(path.begin(), path.end(), '.') > kMaxLevels) bad_override(text);
  while (!path.empty()) {  // from the innermost key outwards
    const size_t dot = path.rfind('.');
    tree.key = path.substr(dot + 1);  // npos + 1 == 0
    tree.key_where = {source, 0, 0};
    if (tree.key.empty() || !is_clean_text(tree.key)) bad_override(text);
    path.resize(dot == std::string::npos ? 0 : dot);
    Node parent{.kind = Node::Kind::kMap, .where = {source, 0, 0}};
    parent.children.push_back(std::move(tree));
    tree = std::move(parent);
  }
  return tree;
}

std::string environment(const std::string& body, const Node& node, const std::string& path) {
  constexpr std::string_view kPrefix = "env:";
  if (!body.starts_with(kPrefix)) config_error(node.where, path, "expected ${env:NAME}, found ${" + body + "}");
  const size_t colon = body.find(':', kPrefix.size());
  const std::string name = body.substr(kPrefix.size(), colon - kPrefix.size());
  const char* value = std::getenv(name.c_str());
  if (value == nullptr && colon != std::string::npos) return body.substr(colon + 1);
  if (value == nullptr) config_error(node.where, path, "environment variable " + name + " is not set");
  if (!is_clean_text(value)) config_error(node.where, path, "environment variable " + name + " is not UTF-8 text");
  return value;
}

enum class Environment { kReadable, kForbidden };

std::string interpolated(const Node& node, const std::string& path, Environment environment_is) {
  const std::string& text = node.text;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "$${") == 0) {
      out += "${";
      at += 3;
    } else if (text.compare(at, 2, "${") == 0) {
      const size_t end = text.find('}', at);
      if (end == std::string::npos) config_error(node.where, path, "expected } after ${");
      if (environment_is == Environment::kForbidden)
        config_error(node.where, path, "found ${, which only your own files may hold: it reads the environment");
      out += environment(text.substr(at + 2, end - at - 2), node, path);
      at = end + 1;
    } else {
      out += text[at++];
    }
  }
  return out;
}

void interpolate(Node& tree, const std::string& path, Environment environment_is) {
  if (tree.text.find("${") != std::string::npos) tree.text = interpolated(tree, path, environment_is);
  for (size_t i = 0; i < tree.children.size(); ++i) {
    Node& child = tree.children[i];
    const std::string below = tree.kind == Node::Kind::kList ? child_path(path, i) : child_path(path, child.key);
    interpolate(child, below, environment_is);
  }
}

}  // namespace

void apply_overrides(Node& tree, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    Node later = override_tree(text);
    if (const Node* base = later.find("base")) config_error(base->key_where, "base", "only in a file");
    merge(tree, std::move(later), "");
  }
}

Node compose(const std::string& path, const std::vector<std::string>& overrides) {
  Node tree = FileStack().load(path, {});
  apply_overrides(tree, overrides);
  interpolate(tree);
  return tree;
}

void interpolate(Node& tree, const std::string& path) { interpolate(tree, path, Environment::kReadable); }

void unescape_interpolation(Node& tree, const std::string& path) { interpolate(tree, path, Environment::kForbidden); }

void escape_interpolation(Node& tree) {
  for (size_t at = tree.text.find("${"); at != std::string::npos; at = tree.text.find("${", at + 3)) {
    tree.text.insert(at, 1, '$');
    tree.quoted = true;
  }
  for (Node& child : tree.children) escape_interpolation(child);
}

std::string resolve_path(const std::string& text, const Mark& where) {
  std::error_code error;
  if (where.in_file()) {
    const fs::path beside = fs::path(where.source).parent_path() / text;
    if (fs::exists(beside, error)) return fs::absolute(beside).lexically_normal().string();
  }
  return fs::absolute(text).lexically_normal().string();
}

}  // namespace convoy
