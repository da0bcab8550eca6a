// Places values of known size and lifetime in one arena.
#pragma once

#include <cstdint>
#include <vector>

namespace convoy {

// A value that must keep its memory from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct MemoryPlan {
  std::vector<Lifetime> lifetimes;  // by value, as they were given
  std::vector<int64_t> offsets;     // by value, multiples of 256
  int64_t arena_bytes = 0;
  int64_t live_peak_bytes = 0;  // the most bytes alive at one step: no plan can need less
  int64_t total_bytes = 0;      // what values would need if each had memory of its own
};

// Largest first, each at the lowest offset that no value alive at the same time covers.
MemoryPlan place(const std::vector<Lifetime>& values);

}  // namespace convoy
