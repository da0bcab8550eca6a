#include "launcher/config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/base/error.h"
#include "core/base/utf8.h"

namespace convoy {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr int kMaxNodes = 10000;
constexpr size_t kMaxDepth = 32;

// Offset of the first byte that is not UTF-8 text (control characters other than tab and line ends are not), or npos.
size_t first_bad_byte(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const bool control = (lead < 0x20 && lead != '\t' && lead != '\n' && lead != '\r') || lead == 0x7F;
    const size_t length = control ? 0 : utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

Mark mark_of_byte(std::string_view text, size_t at, const std::string& source) {
  const std::string_view before = text.substr(0, at);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 == 0
  return {source, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(at - line_start) + 1};
}

// Builds the tree from parse events, so that every limit holds before memory is spent and aliases are never expanded.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& source, bool has_lines) : source_(source), has_lines_(has_lines) {
    root_.where = mark({});
  }

  Node take() { return std::move(root_); }
  Mark mark(const YAML::Mark& mark) const {
    if (!has_lines_) return {source_, 0, 0};
    return {source_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};  // yaml-cpp counts from 0
  }

 private:
  struct Level {
    Node* node;
    bool has_key;  // of a map: the last child has its key and waits for its value
  };

  void OnDocumentStart(const YAML::Mark& at) override {
    if (documents_++ > 0) config_error(mark(at), "", "expected one document, found a second one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override {
    Node& node = place(at, "?", anchor);
    // yaml-cpp marks an empty value with the next token, often on another line; its key or list is nearer.
    if (!open_.empty()) node.where = node.key.empty() ? open_.back().node->where : node.key_where;
  }

  void OnAlias(const YAML::Mark& at, YAML::anchor_t) override {
    config_error(mark(at), path(), "aliases (*name) are not supported; write the value out or use base:");
  }

  void OnScalar(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor, const std::string& text) override {
    if (!is_clean_text(text)) {
      config_error(mark(at), path(), "expected UTF-8 text, found a control character or invalid code point");
    }
    if (expects_key()) return add_key(at, tag, anchor, text);
    Node& node = place(at, tag, anchor);
    node.kind = Node::Kind::kScalar;
    node.text = text;
    node.quoted = tag == "!";  // yaml-cpp's non-specific tags: "!" quoted, "?" plain
  }

  void OnSequenceStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(at, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }

  void OnMapStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(at, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { open_.pop_back(); }

  bool expects_key() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::kMap && !open_.back().has_key;
  }

  void add_key(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor, const std::string& text) {
    refuse_decoration(at, tag, anchor);
    Node& map = *open_.back().node;
    if (text == "<<" && tag == "?") config_error(mark(at), path(), "merge keys (<<) are not supported; use base:");
    if (text.empty()) config_error(mark(at), path(), "expected a key, found empty text");
    if (const Node* first = map.find(text)) {
      const std::string message =
          "duplicate key" + (has_lines_ ? ", first on line " + std::to_string(first->key_where.line) : "");
      config_error(mark(at), path().empty() ? text : path() + "." + text, message);
    }
    Node child;
    child.key = text;
    child.key_where = mark(at);
    map.children.push_back(std::move(child));
    open_.back().has_key = true;
  }

  // The node that the next value fills.
  Node& place(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
    refuse_decoration(at, tag, anchor);
    if (++nodes_ > kMaxNodes) config_error(mark(at), "", "more than " + std::to_string(kMaxNodes) + " values");
    if (expects_key())
      config_error(mark(at), path(), "expected a key, found a list, a map or nothing; is a bracket left open?");
    Node* node = &root_;
    if (!open_.empty()) {
      Level& parent = open_.back();
      if (parent.node->kind == Node::Kind::kList) parent.node->children.emplace_back();
      node = &parent.node->children.back();
      parent.has_key = false;
    }
    node->where = mark(at);
    return *node;
  }

  void open(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    Node& node = place(at, tag, anchor);
    node.kind = kind;
    if (open_.size() == kMaxDepth) {
      config_error(mark(at), "", "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    open_.push_back({&node, false});
  }

  void refuse_decoration(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0) config_error(mark(at), path(), "anchors (&name) are not supported; use base:");
    if (!tag.empty() && tag != "?" && tag != "!") config_error(mark(at), path(), "tags (!name) are not supported");
  }

  // Of the place being filled: "model.layers[3].conv2d".
  std::string path() const {
    std::string path;
    for (size_t i = 0; i < open_.size(); ++i) {
      const Node& node = *open_[i].node;
      if (node.kind == Node::Kind::kMap && (i + 1 < open_.size() || open_[i].has_key)) {
        path += (path.empty() ? "" : ".") + node.children.back().key;
      } else if (node.kind == Node::Kind::kList && i + 1 < open_.size()) {
        path += "[" + std::to_string(node.children.size() - 1) + "]";
      }
    }
    return path;
  }

  std::string source_;
  bool has_lines_;
  Node root_;
  std::vector<Level> open_;  // from the root to the list or map being filled
  int nodes_ = 0;
  int documents_ = 0;
};

Node parse(const std::string& text, const std::string& source, bool has_lines) {
  if (text.size() > kMaxBytes) config_error({source, 0, 0}, "", "expected at most 1 MiB of YAML, found more");
  if (const size_t bad = first_bad_byte(text); bad != std::string::npos) {
    const Mark where = has_lines ? mark_of_byte(text, bad, source) : Mark{source, 0, 0};
    config_error(where, "", "expected UTF-8 text, found a control character or invalid byte");
  }
  TreeBuilder builder(source, has_lines);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {  // a second document makes the builder throw
    }
  } catch (const YAML::Exception& error) {
    config_error(builder.mark(error.mark), "", "not valid YAML: " + error.msg);
  }
  return builder.take();
}

}  // namespace

std::string Mark::text() const {
  const std::string place = in_file() ? source + ":" + std::to_string(line) + ":" + std::to_string(column) : source;
  return used_at.empty() ? place : place + " (block used at " + used_at + ")";
}

void config_error(const Mark& where, std::string_view path, std::string_view message) {
  std::string text = where.text() + ": ";
  if (!path.empty()) text.append(path).append(": ");
  throw Error(ExitCode::kConfig, text.append(message));
}

const Node* Node::find(std::string_view name) const {
  if (kind != Kind::kMap) return nullptr;
  const auto found =
      std::find_if(children.begin(), children.end(), [&](const Node& child) { return child.key == name; });
  return found == children.end() ? nullptr : &*found;
}

Node* Node::find(std::string_view name) { return const_cast<Node*>(std::as_const(*this).find(name)); }

bool is_clean_text(std::string_view text) { return first_bad_byte(text) == std::string_view::npos; }

Node parse_yaml(const std::string& text, const std::string& source) { return parse(text, source, true); }

Node parse_yaml_value(const std::string& value, const std::string& source) { return parse(value, source, false); }

Node parse_yaml_file(const std::string& path, const Mark& from) {
  const auto refuse = [&](const std::string& why) {
    const std::string place = from.source.empty() ? "" : from.text() + ": ";
    throw Error(ExitCode::kNoInput, place + "cannot read '" + path + "': " + why);
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) refuse("is a directory");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) refuse(errno != 0 ? std::strerror(errno) : "cannot be opened");
  std::string text(kMaxBytes + 1, '\0');  // one byte more than allowed, so that a device file cannot fill memory
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) refuse("read error");
  text.resize(static_cast<size_t>(file.gcount()));
  return parse_yaml(text, path);
}

}  // namespace convoy
