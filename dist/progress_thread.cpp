#include "dist/progress_thread.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <utility>

namespace convoy {
namespace {

// This thread has little to do each time, and others wait for it: Linux (6.12 and later) lets a thread that asks for
// short slices run at once when it wakes up, before one that computes.  Where it cannot, nothing changes.
void ask_for_short_slices() {
  struct {
    uint32_t size = sizeof(*this), policy = 0;  // SCHED_OTHER
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime = 100'000, deadline = 0, period = 0;  // ns; of SCHED_OTHER the first is the slice
  } attributes;                                            // struct sched_attr, which glibc does not have yet
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

void ProgressThread::enqueue(const Collective& collective) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(collective);
  work_.notify_one();
}

void ProgressThread::progress() {
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
}

int64_t ProgressThread::in_flight() {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(queue_.size());
}

uint64_t ProgressThread::mark() {
  const std::lock_guard lock(mutex_);
  return ended_ + queue_.size();
}

void ProgressThread::wait_past(uint64_t mark) {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] { return ended_ >= mark || error_; });
  if (error_) std::rethrow_exception(error_);
}

std::vector<double> ProgressThread::take_busy_seconds() {
  const std::lock_guard lock(mutex_);
  return std::exchange(busy_seconds_, {});
}

void ProgressThread::loop(const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  ask_for_short_slices();
  std::unique_lock lock(mutex_);
  while (work_.wait(lock, stop, [this] { return !queue_.empty(); })) {
    const Collective next = queue_.front();
    lock.unlock();
    const Clock::time_point begin = Clock::now();
    std::exception_ptr error;
    try {
      if (!runner_.run(next, stop)) return;
    } catch (...) {
      error = std::current_exception();
    }
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    lock.lock();
    error_ = error;
    queue_.pop_front();
    ++ended_;
    add_time(busy_seconds_, seconds.count());
    moved_.notify_all();
    if (error_) return;
  }
}

}  // namespace convoy
