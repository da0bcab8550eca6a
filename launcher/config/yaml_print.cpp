// to_yaml: the printing half of yaml.h.
#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "launcher/config/yaml.h"

namespace convoy {
namespace {

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
         std::string_view("_./+-").find(c) != std::string_view::npos;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out += c;
    }
  }
  return out + '"';
}

// Numbers, booleans and words mean the same in block and flow style; any other plain text is safer in quotes.
bool is_safe_plain(std::string_view text) {
  if (text.empty() || text == "null" || text == "Null" || text == "NULL") return false;
  const std::string_view start = text.substr(text[0] == '-' ? 1 : 0, 2);
  const bool starts_well = !start.empty() && (std::isalnum(static_cast<unsigned char>(start[0])) != 0 ||
                                              start[0] == '_' || (start[0] == '.' && start.size() > 1));
  return starts_well && std::all_of(text.begin(), text.end(), is_word_character) && !text.starts_with("..");
}

std::string scalar(const Node& node) { return node.quoted || !is_safe_plain(node.text) ? quote(node.text) : node.text; }
std::string key_text(const Node& node) { return needs_quotes(node.key) ? quote(node.key) : node.key; }

bool is_collection(const Node& node) { return node.kind == Node::Kind::kList || node.kind == Node::Kind::kMap; }

// Fits on one line: a scalar, or a collection without maps or deeper collections in it.
bool is_flat(const Node& node) {
  const auto simple = [](const Node& child) {
    return child.kind != Node::Kind::kMap && std::none_of(child.children.begin(), child.children.end(), is_collection);
  };
  return std::all_of(node.children.begin(), node.children.end(), simple);
}

void print_flow(std::string& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNothing: out += "null"; return;
    case Node::Kind::kScalar: out += scalar(node); return;
    case Node::Kind::kList:
    case Node::Kind::kMap: break;
  }
  const bool map = node.kind == Node::Kind::kMap;
  out += map ? '{' : '[';
  for (size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) out += ", ";
    if (map) out += key_text(node.children[i]) + ": ";
    print_flow(out, node.children[i]);
  }
  out += map ? '}' : ']';
}

void print_block(std::string& out, const Node& node, const std::string& indent);

// What follows "key:" or "-": on the same line when flat (`flow_maps`: maps too), else below and deeper.
void print_value(std::string& out, const Node& node, const std::string& indent, bool flow_maps) {
  const bool one_line = is_flat(node) && (node.kind != Node::Kind::kMap || flow_maps || node.children.empty());
  if (!one_line) {
    out += '\n';
    return print_block(out, node, indent);
  }
  out += ' ';
  print_flow(out, node);
  out += '\n';
}

void print_list_item(std::string& out, const Node& item, const std::string& indent) {
  out += indent + "-";
  const bool one_key = item.kind == Node::Kind::kMap && item.children.size() == 1;
  if (!one_key) return print_value(out, item, indent + "  ", true);
  // `- conv2d: {filters: 32}`: the way layers are written.
  out += " " + key_text(item.children[0]) + ":";
  print_value(out, item.children[0], indent + "    ", true);
}

void print_block(std::string& out, const Node& node, const std::string& indent) {
  for (const Node& child : node.children) {
    if (node.kind == Node::Kind::kList) {
      print_list_item(out, child, indent);
    } else {
      out += indent + key_text(child) + ":";
      print_value(out, child, indent + "  ", false);
    }
  }
}

}  // namespace

bool needs_quotes(std::string_view text) {
  static constexpr std::array kReserved = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool starts_like_a_word =
      !text.empty() && (std::isalpha(static_cast<unsigned char>(text[0])) != 0 || text[0] == '_');
  return !starts_like_a_word || !std::all_of(text.begin(), text.end(), is_word_character) ||
         std::find(kReserved.begin(), kReserved.end(), lower) != kReserved.end();
}

std::string to_yaml(const Node& node) {
  std::string out;
  if (is_collection(node) && !node.children.empty()) {
    print_block(out, node, "");
  } else {
    print_flow(out, node);
    out += '\n';
  }
  return out;
}

}  // namespace convoy
