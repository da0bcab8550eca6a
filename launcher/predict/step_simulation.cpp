#include "launcher/predict/step_simulation.h"

#include <algorithm>

namespace convoy {
namespace {

class Simulation {
 public:
  explicit Simulation(double share) : rate_(1 - share) {}

  void handle(const StepEvent& event) {
    switch (event.kind) {
      case StepEvent::Kind::kCompute: return compute(event.seconds);
      case StepEvent::Kind::kExchange: return exchange(event.exchange);
      case StepEvent::Kind::kJoin: return join();
    }
  }

  StepTimes times() const {
    StepTimes times = times_;
    times.seconds = now_;
    return times;
  }

 private:
  // Exchanges follow each other without a gap, so one is under way until the last has ended.
  void compute(double work) {
    const double beside = std::max(0.0, queue_end_ - now_);
    const double done = std::min(work, rate_ * beside);
    const double took = done < work ? beside : work / std::max(rate_, 1e-300);
    times_.slowed += took - done;
    now_ += took + (work - done);
  }
  void exchange(const CollectiveCost& cost) {
    const double begin = std::max(now_, queue_end_);
    queue_end_ = begin + cost.seconds();
    times_.busy += cost.seconds();
    waiting_.push_back({begin, queue_end_, cost.latency});
  }
  void join() {
    for (const Exchanged& it : waiting_) {
      const double exposed = std::max(0.0, it.end - std::max(it.begin, now_));
      if (exposed == 0) continue;
      times_.exposed += exposed;
      times_.exposed_latency += exposed * it.latency / (it.end - it.begin);
    }
    waiting_.clear();
    now_ = std::max(now_, queue_end_);
  }

  struct Exchanged {
    double begin, end, latency;
  };
  const double rate_;  // of compute, beside an exchange
  double now_ = 0;     // of the compute queue
  double queue_end_ = 0;
  std::vector<Exchanged> waiting_;  // to be joined
  StepTimes times_;
};

}  // namespace

StepTimes simulate(const std::vector<StepEvent>& events, double share) {
  Simulation simulation(share);
  for (const StepEvent& event : events) simulation.handle(event);
  simulation.handle({.kind = StepEvent::Kind::kJoin});
  return simulation.times();
}

}  // namespace convoy
