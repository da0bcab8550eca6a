// What the user typed, without meaning: a verb, an experiment, overrides and flags.
#pragma once

#include <string>
#include <vector>

namespace convoy {

struct CommandLine {
  std::vector<std::string> words;      // after the verb: experiment file, sub-verb, …
  std::vector<std::string> overrides;  // key=value, flags that are aliases of keys included, in the order given
  bool fresh = false;                  // train: do not go on from an earlier life of this run
  bool json = false;                   // bench: machine-readable output
  int repeat = 20;                     // bench: timed steps
  std::string verb;
  std::string checkpoint;  // eval: which one; default the newest of the run
};

// The first of `words` that is missing is named.  Throws Error(kUsage).
const std::string& require_word(const CommandLine& line, size_t index, const std::string& what);

}  // namespace convoy
