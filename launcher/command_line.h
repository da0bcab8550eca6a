// What the user typed, without meaning: a verb, an experiment, overrides and flags.
//
//   convoy VERB [EXPERIMENT.yaml] [key=value …] [flags]
//
// Words, overrides and flags may come in any order; `--` ends the flags.  A word with '=' is an override, unless a '/'
// comes before the '='.  Some flags are other spellings of keys; the later of two settings of one key wins.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace convoy {

struct CommandLine {
  std::vector<std::string> words;      // after the verb: experiment file, sub-verb, …
  std::vector<std::string> overrides;  // key=value, flags that are aliases of keys included, in the order given
  bool help = false;
  bool fresh = false;    // train: do not go on from an earlier life of this run
  bool gpustat = false;  // train: report on the GPU; on the CPU train says that there is none
  bool json = false;     // eval, bench, inspect, data: machine-readable output
  int repeat = 20;       // bench: timed steps
  std::string verb;
  std::map<std::string, std::string> flags;  // those given that have no field here, by name
  std::string checkpoint;                    // eval: which one; default the newest of the run
};

// `arguments` without the program's name.  Throws Error(kUsage), one line.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

// What ranks must have typed alike: verb, flags, and for bench what to measure.  Not the experiment: ranks compare what
// it says, not where it is.
std::string command_of(const CommandLine& line);

// The value of one of line.flags, or `otherwise`.
std::string flag(const CommandLine& line, const std::string& name, const std::string& otherwise = "");

// What `convoy --help` prints, and for a verb `convoy VERB --help`.
std::string help_text(const std::string& verb = "");

// The first of `words` that is missing is named.  Throws Error(kUsage).
const std::string& require_word(const CommandLine& line, size_t index, const std::string& what);

}  // namespace convoy
