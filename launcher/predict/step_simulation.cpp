#include "launcher/predict/step_simulation.h"

#include <deque>

namespace convoy {
namespace {

class Simulation {
 public:
  explicit Simulation(const Contention& contention) : rate_(1 - contention.share), stretch_(contention.stretch) {}

  void handle(const StepEvent& event) {
    switch (event.kind) {
      case StepEvent::Kind::kCompute: return compute(event.seconds);
      case StepEvent::Kind::kExchange: return queue_.push_back({event.exchange, event.exchange.seconds()});
      case StepEvent::Kind::kJoin: return join();
    }
  }

  const StepTimes& times() const { return times_; }

 private:
  // Exchanges follow each other without a gap, so the first of the queue is under way.
  void compute(double work) {
    while (work > 0 && !queue_.empty()) {
      const double until_back = stretch_ * queue_.front().left;
      const bool back = rate_ * until_back <= work;
      const double took = back ? until_back : work / rate_;
      const double done = back ? rate_ * until_back : work;
      times_.seconds += took;
      times_.busy += took;
      times_.slowed += took - done;
      work -= done;
      queue_.front().left -= took / stretch_;
      if (back) queue_.pop_front();
    }
    times_.seconds += work;
  }
  void join() {
    for (const auto& [cost, left] : queue_) {
      times_.seconds += left;
      times_.busy += left;
      times_.exposed += left;
      if (left > 0) times_.exposed_latency += left * cost.latency / cost.seconds();
    }
    queue_.clear();
  }

  struct Exchange {
    CollectiveCost cost;
    double left;  // seconds, while nothing computes
  };
  const double rate_;     // of compute, beside an exchange
  const double stretch_;  // of an exchange, beside compute
  std::deque<Exchange> queue_;
  StepTimes times_;
};

}  // namespace

StepTimes simulate(const std::vector<StepEvent>& events, const Contention& contention) {
  Simulation simulation(contention);
  for (const StepEvent& event : events) simulation.handle(event);
  simulation.handle({.kind = StepEvent::Kind::kJoin});
  return simulation.times();
}

}  // namespace convoy
