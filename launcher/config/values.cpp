#include "launcher/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace convoy {
namespace {

constexpr size_t kMaxText = 4096;  // the longest path Linux accepts
constexpr size_t kMaxShown = 60;   // of a wrong value in a message

std::string describe_node(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNothing: return "nothing";
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a map";
    case Node::Kind::kScalar: break;
  }
  std::string text = node.text.substr(0, kMaxShown);
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  if (node.text.size() > kMaxShown) text += "...";
  return node.quoted ? "the quoted text '" + text + "'" : "'" + text + "'";
}

// Plain text that starts like a decimal number: an optional minus, then a digit or point, no leading zeros.
bool starts_as_decimal(const Node& node) {
  if (node.kind != Node::Kind::kScalar || node.quoted) return false;
  std::string_view digits = node.text;
  if (digits.starts_with('-')) digits.remove_prefix(1);
  const auto is_digit = [&](size_t i) { return i < digits.size() && digits[i] >= '0' && digits[i] <= '9'; };
  const bool leading_zero = digits.starts_with('0') && is_digit(1);
  return !leading_zero && (is_digit(0) || (digits.starts_with('.') && is_digit(1)));
}

template <class Number>
bool parse_all(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

// Edit distance with swaps of neighbours (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

bool Range::contains(double value) const {
  return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
  const bool lower = std::isfinite(low), upper = std::isfinite(high);
  if (lower && upper) {
    return std::string(" in ") + (low_open ? "(" : "[") + shortest(low) + ", " + shortest(high) +
           (high_open ? ")" : "]");
  }
  if (lower) return (low_open ? " > " : " >= ") + shortest(low);
  if (upper) return (high_open ? " < " : " <= ") + shortest(high);
  return "";
}

void wrong_value(const Node& node, std::string_view path, std::string_view expected) {
  config_error(node.where, path, "expected " + std::string(expected) + ", found " + describe_node(node));
}

int64_t to_integer(const Node& node, std::string_view path, const Range& range) {
  int64_t value = 0;
  const bool parsed = starts_as_decimal(node) && parse_all(node.text, value);
  if (!parsed || !range.contains(static_cast<double>(value))) wrong_value(node, path, "an integer" + range.text());
  return value;
}

uint64_t to_natural(const Node& node, std::string_view path) {
  uint64_t value = 0;
  if (starts_as_decimal(node) && parse_all(node.text, value)) return value;
  wrong_value(node, path, "an integer in [0, 18446744073709551615]");
}

double to_number(const Node& node, std::string_view path, const Range& range) {
  double value = 0;
  const bool parsed = starts_as_decimal(node) && parse_all(node.text, value) && std::isfinite(value);
  if (!parsed || !range.contains(value)) wrong_value(node, path, "a number" + range.text());
  return value;
}

bool to_boolean(const Node& node, std::string_view path) {
  const bool yes = node.text == "true";
  if (node.kind != Node::Kind::kScalar || node.quoted || (!yes && node.text != "false")) {
    wrong_value(node, path, "true or false");
  }
  return yes;
}

std::string to_text(const Node& node, std::string_view path) {
  if (node.kind != Node::Kind::kScalar || node.text.empty()) wrong_value(node, path, "text");
  if (node.text.size() > kMaxText) wrong_value(node, path, "text of at most " + std::to_string(kMaxText) + " bytes");
  return node.text;
}

size_t to_choice(const Node& node, std::string_view path, std::span<const std::string_view> names) {
  const auto found = std::find(names.begin(), names.end(), node.text);
  if (node.kind != Node::Kind::kScalar || found == names.end()) wrong_value(node, path, join(names, " or "));
  return static_cast<size_t>(found - names.begin());
}

void require_map(const Node& node, std::string_view path) {
  if (node.kind != Node::Kind::kMap) wrong_value(node, path, "a map");
}

void require_list(const Node& node, std::string_view path) {
  if (node.kind == Node::Kind::kList) return;
  const bool typed_map = node.kind == Node::Kind::kMap && !node.where.in_file();
  wrong_value(node, path,
              typed_map ? "a list, which is replaced as a whole (" + std::string(path) + "=[...])" : "a list");
}

void refuse_unknown_keys(const Node& map, std::string_view path, std::span<const std::string_view> known) {
  for (const Node& child : map.children) {
    if (std::find(known.begin(), known.end(), child.key) != known.end()) continue;
    config_error(child.key_where, child_path(path, child.key), "unknown key" + did_you_mean(child.key, known));
  }
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  word = word.substr(0, kMaxShown);
  size_t nearest = std::max<size_t>(2, word.size() / 3 + 1);  // a typo or two, more in a long word
  std::string_view best;
  for (const std::string_view candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < nearest && distance < candidate.size()) {
      nearest = distance;
      best = candidate;
    }
  }
  if (!best.empty()) return ", did you mean '" + std::string(best) + "'?";
  return known.empty() ? ", expected none" : ", expected one of " + join(known, ", ");
}

std::string child_path(std::string_view parent, std::string_view key) {
  const std::string_view shown = key.substr(0, kMaxShown);
  return parent.empty() ? std::string(shown) : std::string(parent).append(".").append(shown);
}

std::string child_path(std::string_view parent, size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

std::string decimal(double value, int places) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", places, value);
  return text;
}

std::string shortest(double value) {
  std::array<char, 32> text{};
  const double size = std::abs(value);  // 0.0005, not 5e-04: some YAML readers take the latter for text
  const bool fixed = size == 0 || (size >= 1e-5 && size < 1e15);
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, format).ptr;
  return {text.data(), end};
}

std::string join(std::span<const std::string_view> words, std::string_view last_separator) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? last_separator : std::string_view(", ");
    out += words[i];
  }
  return out;
}

}  // namespace convoy
