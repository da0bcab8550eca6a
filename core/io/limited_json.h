// JSON that a stranger wrote, as a tree.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace convoy {

// How deep lists and objects are nested, of text up to where it stops being JSON.  (nlohmann's own callback for it
// takes a time that is quadratic in the length of a list of objects.)
inline int json_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '"') in_string = !in_string;
    if (in_string && letter == '\\') ++i;
    if (in_string) continue;
    if (letter == '[' || letter == '{') deepest = std::max(deepest, ++depth);
    if (letter == ']' || letter == '}') --depth;
  }
  return deepest;
}

// At most 16 MiB of text and 200 levels, so that no recursion over it runs out of stack.  Throws Error(kBadData) that
// begins with `where`.
template <class Json = nlohmann::json>
Json parse_limited_json(const std::string& text, const std::string& where) {
  if (text.size() > size_t{16} << 20) bad_data(where, "larger than 16 MiB");
  if (json_depth(text) > 200) bad_data(where, "deeper than 200 levels");
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) bad_data(where, "not JSON");
  return value;
}

}  // namespace convoy
