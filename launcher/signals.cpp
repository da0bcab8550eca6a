#include "launcher/signals.h"

#include <atomic>
#include <iterator>

#include "core/base/file.h"

namespace convoy {
namespace {

// A handler can reach nothing but globals.
std::atomic<int> stop_requested = 0;  // the signal
std::atomic<bool> save_requested = false;
static_assert(std::atomic<int>::is_always_lock_free, "a handler must not wait for what it interrupts");

void note(int signal) {
  if (signal == SIGUSR2) {
    save_requested = true;
    return;
  }
  if (signal == SIGINT && stop_requested == SIGINT) {
    remove_pending_files();
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop_requested = signal;
}

void end(int signal) {
  remove_pending_files();
  std::raise(signal);  // SA_RESETHAND: it ends the process
}

}  // namespace

void end_without_remains() {
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {}, before = {};
  action.sa_handler = end;
  action.sa_flags = SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM}) {
    sigaction(signal, nullptr, &before);
    if (before.sa_handler == SIG_DFL) sigaction(signal, &action, nullptr);
  }
}

Signals::Signals() {
  stop_requested = 0;
  save_requested = false;
  struct sigaction action = {};
  action.sa_handler = note;
  action.sa_flags = SA_RESTART;
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  for (size_t i = 0; i < std::size(kHandled); ++i) {
    sigaction(kHandled[i], kHandled[i] == SIGPIPE ? &ignore : &action, &before_[i]);
  }
}

Signals::~Signals() {
  for (size_t i = 0; i < std::size(kHandled); ++i) sigaction(kHandled[i], &before_[i], nullptr);
}

int Signals::stop_signal() const { return stop_requested; }

bool Signals::take_save_request() { return save_requested.exchange(false); }

}  // namespace convoy
