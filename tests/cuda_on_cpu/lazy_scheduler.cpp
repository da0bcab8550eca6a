#include <algorithm>
#include <deque>
#include <list>
#include <random>

#include "tests/cuda_on_cpu/errors.h"
#include "tests/cuda_on_cpu/scheduler.h"

namespace convoy::cuda_on_cpu {

bool Scheduler::ended(const Ends& ends) {
  return std::ranges::all_of(ends, [](const Ended* it) { return it->load(std::memory_order_acquire) != 0; });
}

void Scheduler::run(const std::function<void()>& work) {
  if (has_fault()) return;
  try {
    work();
  } catch (const std::exception& error) {
    set_fault(error.what());
  }
}

namespace {

struct Operation {
  unsigned lane;
  Ends after;
  std::function<void()> work;
  Ended* ended;
};

// Used under the lock of its device, which is held while work runs.
class LazyScheduler : public Scheduler {
 public:
  LazyScheduler(Schedule schedule, uint64_t seed, DeviceMemory& memory)
      : schedule_(schedule), random_(seed), memory_(memory) {}
  unsigned new_lane() override { return lanes_++; }
  Ended* give(unsigned lane, Ends after, std::function<void()> work) override {
    Ended* ended = &ends_.emplace_back(0);
    std::erase_if(after, [](const Ended* it) { return *it != 0; });
    pending_.push_back({lane, std::move(after), std::move(work), ended});
    return ended;
  }
  void wait(const Ends& ends) override {
    if (Scheduler::ended(ends)) return;
    memory_.open();
    while (!Scheduler::ended(ends)) {
      if (!run_one()) {
        set_fault("work waits for ever: for another device, or for itself");
        break;
      }
    }
    memory_.close();
  }
  void look() override {
    memory_.open();
    run_one();
    memory_.close();
  }

 private:
  using Place = std::list<Operation>::iterator;

  bool run_one() {
    const Place next = choose();
    if (next == pending_.end()) return false;
    Operation operation = std::move(*next);
    pending_.erase(next);
    run(operation.work);
    operation.ended->store(1, std::memory_order_release);
    return true;
  }
  bool ready(Operation& operation) {
    std::erase_if(operation.after, [](const Ended* it) { return *it != 0; });
    return operation.after.empty();
  }
  Place choose() {
    Place best = pending_.end();
    uint64_t count = 0;
    for (Place it = pending_.begin(); it != pending_.end(); ++it) {
      if (!ready(*it)) continue;
      if (best == pending_.end() || better(*it, *best, ++count)) best = it;
      if (schedule_ == Schedule::kProgram) break;
    }
    return best;
  }
  bool better(const Operation& it, const Operation& best, uint64_t count) {
    if (schedule_ == Schedule::kFirstStream) return it.lane < best.lane;
    if (schedule_ == Schedule::kLastStream) return it.lane > best.lane;
    return random_() % (count + 1) == 0;  // each of those that are ready is as likely
  }

  const Schedule schedule_;
  std::mt19937_64 random_;
  DeviceMemory& memory_;
  unsigned lanes_ = 0;
  std::list<Operation> pending_;
  std::deque<Ended> ends_;
};

}  // namespace

std::unique_ptr<Scheduler> make_lazy_scheduler(Schedule schedule, uint64_t seed, DeviceMemory& memory) {
  return std::make_unique<LazyScheduler>(schedule, seed, memory);
}

}  // namespace convoy::cuda_on_cpu
