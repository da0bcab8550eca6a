// Strict conversion of scalars.  Numbers are decimal (no 010, 0x10, 1_000, +1), finite and in range; booleans are
// exactly true or false; quoted text is never a number.  Each throws Error(kConfig) at the node's mark and says what
// was expected, range included, and what was found.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/config/yaml.h"

namespace convoy {

struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_open = false;  // the limit itself is outside
  bool high_open = false;

  bool contains(double value) const;
  std::string text() const;  // " >= 1", " in (0, 1]", "" for everything
};
constexpr Range at_least(double low) { return {.low = low}; }
constexpr Range above(double low) { return {.low = low, .low_open = true}; }
constexpr Range between(double low, double high) { return {.low = low, .high = high}; }    // [low, high]
constexpr Range from_below(double low, double high) { return {low, high, false, true}; }   // [low, high)
constexpr Range above_up_to(double low, double high) { return {low, high, true, false}; }  // (low, high]

int64_t to_integer(const Node& node, std::string_view path, const Range& range);
uint64_t to_natural(const Node& node, std::string_view path);  // all 64 bits
// An integer that also fits T; the message gives T's limits only to who exceeds them.
template <std::integral T>
T to_integer_of(const Node& node, std::string_view path, const Range& range);
double to_number(const Node& node, std::string_view path, const Range& range);
bool to_boolean(const Node& node, std::string_view path);
std::string to_text(const Node& node, std::string_view path);  // not empty, at most 4096 bytes
size_t to_choice(const Node& node, std::string_view path, std::span<const std::string_view> names);  // its index

// "expected <expected>, found 'abc'" at the node.
[[noreturn]] void wrong_value(const Node& node, std::string_view path, std::string_view expected);
void require_map(const Node& node, std::string_view path);
void require_list(const Node& node, std::string_view path);

// Refuses the first key of `map` that is not in `known`: "unknown key, did you mean 'learning_rate'?".
void refuse_unknown_keys(const Node& map, std::string_view path, std::span<const std::string_view> known);

// ", did you mean 'x'?" for the nearest known word; ", expected one of a, b, c" when none is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

std::string child_path(std::string_view parent, std::string_view key);  // "optimizer.momentum"
std::string child_path(std::string_view parent, size_t index);          // "model.layers[3]"
std::string decimal(double value, int places);                          // "3.140"
std::string shortest(double value);                                     // fewest digits that read back equal
std::string join(std::span<const std::string_view> words, std::string_view last_separator);  // "a, b or c"

template <std::integral T>
T to_integer_of(const Node& node, std::string_view path, const Range& range) {
  const int64_t value = to_integer(node, path, range);
  if (!std::in_range<T>(value)) {
    const Range fits{.low = std::max(range.low, static_cast<double>(std::numeric_limits<T>::min())),
                     .high = std::min(range.high, static_cast<double>(std::numeric_limits<T>::max()))};
    wrong_value(node, path, "an integer" + fits.text());
  }
  return static_cast<T>(value);
}

}  // namespace convoy
