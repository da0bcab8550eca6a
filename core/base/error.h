// Errors that a user, a file, a device or a peer can cause, and checks for our own mistakes.
//
// `Error` says what was expected, what was found and where; main() prints it once and exits with its code.
// `CHECK` guards invariants that no input can break: it is a bug in Convoy when one fires (exit 70).
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace convoy {

// Process exit codes; sysexits where they fit.  docs/exit-codes.md lists them for users.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 64,          // command line
  kBadData = 65,        // data set or checkpoint is not what it claims to be
  kNoInput = 66,        // an input file is missing or unreadable
  kUnavailable = 69,    // port, GPU or slots cannot be had
  kInternal = 70,       // a bug in Convoy
  kOutOfMemory = 71,    // memory or descriptor limits
  kCannotCreate = 73,   // output cannot be created, or the run directory is locked
  kIo = 74,             // writing a checkpoint was given up
  kPreempted = 75,      // saved on a signal: run the same command again to go on
  kRanksDisagree = 76,  // ranks differ in configuration, binary, libraries or data
  kPermission = 77,
  kConfig = 78,
  kNonFinite = 81,     // loss or gradient became NaN or infinite
  kInterrupted = 130,  // SIGINT; saved
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// Of a file, or a part of one, that is not what it claims to be.
[[noreturn]] inline void bad_data(const std::string& name, const std::string& what) {
  throw Error(ExitCode::kBadData, name + ": " + what);
}

// A failed CHECK.  Derives from logic_error so that no handler of Error swallows it.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws InternalError naming file, line and function when `condition` is false.
inline void CHECK(bool condition, std::string_view what = "",
                  std::source_location where = std::source_location::current()) {
  if (condition) return;
  throw InternalError(std::string("internal error: ") + where.file_name() + ":" + std::to_string(where.line()) + ": " +
                      where.function_name() + (what.empty() ? "" : ": ") + std::string(what));
}

}  // namespace convoy
