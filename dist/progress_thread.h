// Collectives on a thread of their own, one after the other: for transports that move on only while somebody waits for
// them.  For dist/mpi*.cpp only.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "dist/collective_queue.h"

namespace convoy {

// Runs one collective at a time.
class CollectiveRunner {
 public:
  virtual ~CollectiveRunner() = default;
  // On the progress thread.  Returns when this rank's share is done; false when `stop` was requested before that.
  [[nodiscard]] virtual bool run(const Collective& collective, const std::stop_token& stop) = 0;
};

class ProgressThread : public CollectiveQueue {
 public:
  // `runner` must outlive it.
  explicit ProgressThread(CollectiveRunner& runner) : runner_(runner) {}

  void enqueue(const Collective& collective) override;
  void progress() override;  // throws what ended the thread
  int64_t in_flight() override;
  uint64_t mark() override;
  void wait_past(uint64_t mark) override;
  std::vector<double> take_busy_seconds() override;

 private:
  void loop(const std::stop_token& stop);

  CollectiveRunner& runner_;
  std::mutex mutex_;
  std::condition_variable_any work_, moved_;
  // Guarded by mutex_.  The front is the one that runs.
  std::deque<Collective> queue_;
  uint64_t ended_ = 0;
  std::vector<double> busy_seconds_;  // of what has ended
  std::exception_ptr error_;
  std::jthread thread_{[this](const std::stop_token& stop) { loop(stop); }};  // last: stops before the rest goes
};

}  // namespace convoy
