// What every shape rule asks of its inputs.  Errors carry no location: Graph::add puts the YAML line in front.
#pragma once

#include <span>
#include <string>

#include "core/device/types.h"

namespace convoy {

inline void expect_inputs(std::span<const Shape> inputs, size_t count) {
  if (inputs.size() == count) return;
  throw Error(ExitCode::kConfig,
              "expected " + std::to_string(count) + " input(s), found " + std::to_string(inputs.size()));
}

inline void expect_two_or_more(std::span<const Shape> inputs) {
  if (inputs.size() >= 2) return;
  throw Error(ExitCode::kConfig, "expected two inputs or more, found " + std::to_string(inputs.size()));
}

// Requires: value >= least, else says which option is wrong.
inline void expect_at_least(int value, int least, const char* option) {
  if (value >= least) return;
  throw Error(ExitCode::kConfig,
              std::string(option) + ": expected " + std::to_string(least) + " or more, found " + std::to_string(value));
}

}  // namespace convoy
