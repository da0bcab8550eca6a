// `convoy bench diff A B`: what became faster or slower between two results of `convoy bench scaling`.
#pragma once

#include <string>

namespace convoy {

// Prints a table.  Returns 1 where a point is slower, else 0.  Throws Error naming the file (kNoInput, kBadData).
int bench_diff(const std::string& before, const std::string& after);

}  // namespace convoy
