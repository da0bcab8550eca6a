// A run of elements of a flat buffer.
#pragma once

#include <cstdint>

namespace convoy {

struct ElementRange {
  int64_t begin = 0, end = 0;
  constexpr int64_t size() const { return end - begin; }
  friend bool operator==(const ElementRange&, const ElementRange&) = default;
};

}  // namespace convoy
