// Signals as requests: a handler only notes them; the trainer asks between steps and all ranks act at the same step.
//
//   SIGTERM, SIGUSR1  save and stop (exit 75)          SIGUSR2  save and go on
//   SIGINT            save and stop (exit 130); a second SIGINT ends the process at once
//   SIGPIPE           ignored: a run goes on when nobody reads its progress lines any more
#pragma once

#include <csignal>

namespace convoy {

// For the process: SIGINT and SIGTERM end it as ever, but remove what it had begun to write; a write beyond the
// file-size limit fails, rather than end it.  A signal that is ignored stays so.
void end_without_remains();

// Installs the handlers while it lives.  One at a time; the main thread makes it.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // The last signal that asked to stop, or 0.
  int stop_signal() const;
  // Whether a save was asked for since the last call.
  bool take_save_request();

 private:
  static constexpr int kHandled[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGINT, SIGPIPE};
  struct sigaction before_[5];
};

}  // namespace convoy
