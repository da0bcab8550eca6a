// A stack of its own for code that stops in the middle and goes on later, all on one thread of the host.
#pragma once

#include <cstddef>

namespace convoy::cuda_on_cpu {

// Belongs to the thread that made it.  The sanitizers know of its switches.
class Fibre {
 public:
  // `body` runs at the first resume() and never returns: it may pause() for good.
  explicit Fibre(void (*body)());
  Fibre(const Fibre&) = delete;
  ~Fibre();
  // Goes on where the fibre paused, and returns when it pauses again.
  void resume();
  // Called in the fibre.
  void pause();

 private:
  void* stack_;  // lowest address; the page below the stack is never accessible
  void* context_ = nullptr;
  void* caller_ = nullptr;
  void (*body_)();
  void* tsan_ = nullptr;
  void* tsan_caller_ = nullptr;
  const void* caller_stack_ = nullptr;  // for AddressSanitizer
  std::size_t caller_stack_bytes_ = 0;

  friend struct FibreStart;
};

}  // namespace convoy::cuda_on_cpu
