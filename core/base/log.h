// Lines for people, on standard error.  An object passed by reference; there is no global log.
//
// A line is "[r3] warning: text".  Each call is one write(), so lines of ranks and threads do not mix.  Control
// characters and bytes that are not UTF-8 become '?', so that a file name or tensor name cannot drive the reader's
// terminal.
// Threads: any thread may call any method.  Nothing throws when the reader is gone.
#pragma once

#include <string>
#include <string_view>

namespace convoy {

// `text` with '?' for control characters and for bytes that are not UTF-8.
std::string printable(std::string_view text);

enum class LogLevel { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  // Prints messages of `level` and above.  rank < 0 leaves the prefix out.  `fd` stays the caller's.
  explicit Log(LogLevel level, int rank = -1, int fd = 2) : level_(level), rank_(rank), fd_(fd) {}

  void debug(std::string_view text) const { write(LogLevel::kDebug, text); }
  void info(std::string_view text) const { write(LogLevel::kInfo, text); }
  void warning(std::string_view text) const { write(LogLevel::kWarning, text); }
  void error(std::string_view text) const { write(LogLevel::kError, text); }

  // A text of several lines gets the rank on each, "warning: " on the first only, and still is one write().
  void write(LogLevel level, std::string_view text) const;

 private:
  const LogLevel level_;
  const int rank_;
  const int fd_;
};

}  // namespace convoy
