// What the fingerprints of stores of many files have in common.  Internal to core/data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/hash.h"

namespace convoy {

inline void hash_image(Hash128& hash, std::string_view name, int64_t bytes, int label) {
  std::string line(name);
  line += '\0' + std::to_string(bytes) + ' ' + std::to_string(label) + '\n';
  hash.update(std::as_bytes(std::span(line)));
}

}  // namespace convoy
