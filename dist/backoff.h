// Waiting for something that another thread or process does: give the processor away, then sleep.
#pragma once

#include <chrono>
#include <thread>

namespace convoy {

// Each wait() is short at first.  A rank that has a core to itself loses no time; where ranks share cores, those that
// still have work get them.
class Backoff {
 public:
  // About `yields` × 0.5 µs of asking again and again before the first sleep.
  explicit Backoff(int yields) : yields_(yields) {}
  void wait() {
    if (count_ < yields_) {
      ++count_;
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  void reset() { count_ = 0; }

 private:
  const int yields_;
  int count_ = 0;
};

}  // namespace convoy
