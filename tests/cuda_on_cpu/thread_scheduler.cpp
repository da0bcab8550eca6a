#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <deque>
#include <thread>
#include <utility>

#include "tests/cuda_on_cpu/scheduler.h"

namespace convoy::cuda_on_cpu {
namespace {

// By the system's own call: what the standard library has for this takes locks that many share, and each lock would be
// an order between threads that the program did not ask for.
void await(std::atomic<uint32_t>& flag) {
  while (flag.load(std::memory_order_acquire) == 0) syscall(SYS_futex, &flag, FUTEX_WAIT_PRIVATE, 0, nullptr);
}

void raise(std::atomic<uint32_t>& flag) {
  flag.store(1, std::memory_order_release);
  syscall(SYS_futex, &flag, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

struct Operation {
  Ends after;
  std::function<void()> work;  // none: the lane ends
  Ended* ended = nullptr;
  std::unique_ptr<Operation> next;  // once `followed`
  std::atomic<uint32_t> followed = 0;
};

// The host appends, the thread takes; each operation is handed over by its own flag.
class Lane {
 public:
  Lane() : Lane(std::make_unique<Operation>()) {}
  ~Lane() {
    give(std::make_unique<Operation>());
    thread_.join();
  }
  void give(std::unique_ptr<Operation> operation) {
    Operation* const before = std::exchange(last_, operation.get());
    before->next = std::move(operation);
    raise(before->followed);
  }

 private:
  explicit Lane(std::unique_ptr<Operation> first) : last_(first.get()), thread_(run, std::move(first)) {}
  static void run(std::unique_ptr<Operation> last);

  Operation* last_;  // the thread keeps it until another follows
  std::thread thread_;
};

class ThreadScheduler : public Scheduler {
 public:
  explicit ThreadScheduler(DeviceMemory& memory) : memory_(memory) { memory_.open(); }
  ~ThreadScheduler() override {
    lanes_.clear();
    memory_.close();
  }
  unsigned new_lane() override {
    lanes_.emplace_back();
    return static_cast<unsigned>(lanes_.size() - 1);
  }
  Ended* give(unsigned lane, Ends after, std::function<void()> work) override {
    auto operation = std::make_unique<Operation>();
    Ended* ended = operation->ended = &ends_.emplace_back(0);
    operation->after = std::move(after);
    operation->work = std::move(work);
    lanes_[lane].give(std::move(operation));
    return ended;
  }
  void wait(const Ends& ends) override {
    for (Ended* it : ends) await(*it);
  }
  void look() override {}

  using Scheduler::run;

 private:
  DeviceMemory& memory_;
  std::deque<Ended> ends_;
  std::deque<Lane> lanes_;
};

void Lane::run(std::unique_ptr<Operation> last) {
  for (;;) {
    await(last->followed);
    last = std::move(last->next);
    if (!last->work) return;
    for (Ended* it : last->after) await(*it);
    ThreadScheduler::run(last->work);
    last->work = nullptr;
    raise(*last->ended);
  }
}

}  // namespace

std::unique_ptr<Scheduler> make_thread_scheduler(DeviceMemory& memory) {
  return std::make_unique<ThreadScheduler>(memory);
}

}  // namespace convoy::cuda_on_cpu
