// A strict subset of YAML as a small tree: the only door to yaml-cpp.
//
// yaml-cpp alone accepts duplicate keys, drops a second document, converts "12", 010 and `yes`, expands aliases and
// puts no bound on anything.  Here a file is one document of plain data: at most 1 MiB of UTF-8, 10000 nodes, 32
// levels, no duplicate keys, anchors, aliases, tags or merge keys.  Scalars stay text; values.h converts them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace convoy {

// Where something was written.
struct Mark {
  std::string source = {};   // file name as given, or "command line: key=value"
  int line = 0;              // 1-based; 0 when there are no lines (the command line)
  int column = 0;            // 1-based
  std::string used_at = {};  // of a place in a block of layers: text() of where the block is used

  bool in_file() const { return line > 0; }
  // "file.yaml:12:5", "file.yaml:12:5 (block used at file.yaml:30:7)" or "command line: train.epochs=3"
  std::string text() const;
};

// Throws Error(kConfig): "file.yaml:12:5: optimizer.momentum: message".  An empty path is left out.
[[noreturn]] void config_error(const Mark& where, std::string_view path, std::string_view message);

struct Node {
  enum class Kind { kNothing, kScalar, kList, kMap };

  Kind kind = Kind::kNothing;
  std::string text = {};  // of a scalar
  bool quoted = false;    // a quoted or block scalar is text, never a number or a boolean
  Mark where = {};
  std::vector<Node> children = {};  // of a list or map, in file order
  std::string key = {};             // of a child of a map
  Mark key_where = {};

  const Node* find(std::string_view name) const;  // child of a map by key, or null
  Node* find(std::string_view name);
};

// Reads one document.  `source` names it in errors.  An empty document is kNothing.  Throws Error(kConfig).
Node parse_yaml(const std::string& text, const std::string& source);

// Reads a file.  A file that cannot be opened is Error(kNoInput), reported at `from` unless that is empty.
Node parse_yaml_file(const std::string& path, const Mark& from = {});

// Reads the value of a command line override: a scalar, or a list or map in flow style.  `source` is the whole
// argument.
Node parse_yaml_value(const std::string& value, const std::string& source);

// Prints a tree so that parse_yaml reads the same tree: maps in block style, flat lists and maps on one line.
std::string to_yaml(const Node& node);

// True for UTF-8 without control characters other than tab and line ends.
bool is_clean_text(std::string_view text);

// True for text that would not be read back as the same plain scalar.
bool needs_quotes(std::string_view text);

}  // namespace convoy
