// Attempts at what the walls must prevent, for tests.
#pragma once

#include <string>

namespace convoy::h5 {

// With one wall up, "landlock" or "seccomp", tries "open", "connect", "socket", "exec", "fork", "ptrace", "mmap" (of
// code) or "write" (to descriptor 0).  Returns the error number, 0 for success; seccomp ends the process instead.
int attempt(const std::string& wall, const std::string& what);

}  // namespace convoy::h5
