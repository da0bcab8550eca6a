// What the loss compares a row with: its class, or two classes where two images were mixed.
#pragma once

#include "core/device/types.h"

namespace convoy {

struct Target {
  int32_t a = 0, b = 0;  // classes; equal where nothing was mixed
  float share = 1;       // of a, in [0, 1]; b has the rest
  friend bool operator==(const Target&, const Target&) = default;

  static constexpr Target of(int label) { return {label, label, 1}; }
};
static_assert(sizeof(Target) == 12);

// As an input of a graph, i32: the three words of a Target in each row.
constexpr Shape targets_shape(int rows) { return {rows, 1, 1, static_cast<int>(sizeof(Target)) / 4}; }

}  // namespace convoy
