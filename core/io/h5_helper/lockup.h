// What the process may do once it has locked itself up: read and write the descriptors that it has, use memory, end.
//
// Three walls, each enough by itself against opening a file: Landlock (no path is allowed, no network), seccomp (any
// other system call ends the process), no descriptors beyond those that it has.
#pragma once

#include <cstdint>

namespace convoy::h5 {

enum class Direction { kRead, kWrite };

// Leaves descriptors 0 and 1; 2 goes nowhere.  Ends the process with its parent.  To be called first.
void leave_everything();

void limit_resources(Direction direction, int64_t file_bytes);

// Throw Error(kUnavailable) where the kernel has no such thing.
void forbid_paths_and_network();                // Landlock
void forbid_system_calls(Direction direction);  // seccomp

}  // namespace convoy::h5
