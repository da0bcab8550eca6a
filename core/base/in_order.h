// Work on many threads, results in order on one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace convoy {

// Calls work(i, thread) for every 0 <= i < n on `threads` threads, numbered from 0, and deliver(i, result) for each in
// order on the calling one.  Threads run ahead of the delivery by a few results each, no more.  What work() or
// deliver() throws ends it, after all results before have been delivered, and comes out here.
template <class Work, class Deliver>
void in_order(int64_t n, int threads, const Work& work, const Deliver& deliver) {
  using Result = std::invoke_result_t<const Work&, int64_t, int>;
  struct Slot {
    std::optional<Result> result;
    std::exception_ptr error;
    bool full = false;
  };
  constexpr int64_t kAhead = 4;  // a thread
  std::vector<Slot> slots(static_cast<size_t>(kAhead * threads));
  const auto slot_of = [&](int64_t i) -> Slot& { return slots[static_cast<size_t>(i) % slots.size()]; };
  std::mutex mutex;
  std::condition_variable changed;
  int64_t next = 0, delivered = 0;  // guarded by mutex, and so is `full` of each slot
  bool stop = false;                // likewise

  const auto run = [&](int thread) {
    std::unique_lock lock(mutex);
    for (;;) {
      const auto room = [&] { return stop || next == n || next < delivered + static_cast<int64_t>(slots.size()); };
      changed.wait(lock, room);
      if (stop || next == n) return;
      const int64_t i = next++;
      Slot& slot = slot_of(i);
      lock.unlock();
      try {
        slot.result.emplace(work(i, thread));
      } catch (...) {
        slot.error = std::current_exception();
      }
      lock.lock();
      slot.full = true;
      changed.notify_all();
    }
  };
  const auto finish = [&] {
    const std::lock_guard lock(mutex);
    stop = true;
    changed.notify_all();
  };

  std::vector<std::jthread> workers;  // joined last of all
  try {
    for (int thread = 0; thread < threads; ++thread) workers.emplace_back(run, thread);
    for (int64_t i = 0; i < n; ++i) {
      Slot& slot = slot_of(i);
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return slot.full; });
      lock.unlock();
      if (slot.error != nullptr) std::rethrow_exception(slot.error);
      deliver(i, std::move(*slot.result));
      lock.lock();
      slot = {};
      ++delivered;
      changed.notify_all();
    }
  } catch (...) {
    finish();
    throw;
  }
}

}  // namespace convoy
