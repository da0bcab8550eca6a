// The plain fields of one JSON object, as lines of a .jsonl file and labels in tar shards have them.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace convoy {

// Strings as they are, integers as decimal text, by name; fields of any other type are left out.  Memory is bounded by
// a small multiple of the text.  Throws Error(kBadData) naming `where` for what is no JSON object or has a name twice.
std::map<std::string, std::string> parse_json_fields(std::string_view text, const std::string& where);

}  // namespace convoy
