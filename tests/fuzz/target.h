// A reader of files from anywhere, as libFuzzer feeds it and as the test of kept files replays it.
//
// Each target is one file, NAME.cpp, that defines kFuzzTarget; it has one line in CMakeLists.txt and its seeds in
// corpus/NAME.  scripts/fuzz runs them.  A target must not take long: parse, look at what was parsed, no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace convoy {

struct FuzzTarget {
  const char* name;
  // Reads `file`.  Error is what bad bytes should end in; anything else that leaves it counts as a crash.
  void (*read)(std::span<const std::byte> file);
  // The most memory, in bytes, that read() may hold at a time for a file of `bytes`.
  int64_t (*most_memory)(int64_t bytes);
};

extern const FuzzTarget kFuzzTarget;  // of this program

// What a file may cost that is not packed: itself, once what was read from it, and small things.
inline int64_t memory_of_plain_file(int64_t bytes) { return 2 * bytes + (int64_t{1} << 20); }

// A regular file in memory with these contents, for readers that want a path; it holds until the next call.
const char* fuzz_file(std::span<const std::byte> contents);

}  // namespace convoy
