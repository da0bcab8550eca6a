// The JSON header of a safetensors file, to and from typed entries.  For safetensors.cpp only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/safetensors.h"

namespace convoy {

// A tensor as the header describes it; nothing but JSON types and ranges is checked yet.
struct HeaderEntry {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<int64_t> dims;
  int64_t begin = 0, end = 0;  // bytes, from the start of the data
};

struct SafetensorsHeader {
  std::vector<HeaderEntry> entries;  // in file order
  std::map<std::string, std::string> metadata;
};

// `file` is for messages.  Memory is bounded by a small multiple of the text.  Throws Error(kBadData).
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& file);

// JSON text without padding.
std::string format_safetensors_header(const SafetensorsHeader& header);

}  // namespace convoy
