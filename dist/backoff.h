// Waiting for something that another thread or process does: ask again, then give the processor away, then sleep.
#pragma once

#include <chrono>
#include <thread>

namespace convoy {

// Each wait() is short at first.  A rank that has a core to itself loses no time; where ranks share cores, those that
// still have work get them.
class Backoff {
 public:
  // `asks` times wait() does nothing: whoever yields to a program that computes gets the core back milliseconds later,
  // too long for a peer that is late by microseconds.  Then `yields` × 0.5 µs or more, then sleeps.
  Backoff(int asks, int yields) : asks_(asks), yields_(yields) {}
  void wait() {
    if (count_ < asks_ + yields_) {
      if (count_++ >= asks_) std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  void reset() { count_ = 0; }

 private:
  const int asks_, yields_;
  int count_ = 0;
};

}  // namespace convoy
