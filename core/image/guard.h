// Calls of C libraries that leave by longjmp when something is wrong.  Internal to core/image.
#pragma once

#include <array>
#include <csetjmp>

namespace convoy {

// Where a library's error handler leaves its message and jumps to.
struct Guard {
  std::jmp_buf target = {};
  std::array<char, 256> message = {};
};

// Runs `body`; returns false if it left by longjmp(guard.target, 1).
// Requires: between here and the library no frame has an object with a destructor, and nothing throws.
template <class Body>
__attribute__((noinline)) bool guarded(Guard& guard, const Body& body) {
  if (setjmp(guard.target) != 0) return false;
  body();
  return true;
}

}  // namespace convoy
