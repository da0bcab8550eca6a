// Another program, run to its end.
#pragma once

#include <string>
#include <vector>

namespace convoy {

struct ChildResult {
  int code = 0;        // its exit code; 128 + the signal that ended it
  std::string output;  // what it wrote to standard output
};

// The program is looked for in PATH; it shares standard error with this one and has no standard input.
// Throws Error(kUnavailable) naming a program that cannot be run.
ChildResult run_program(const std::vector<std::string>& arguments);

}  // namespace convoy
