#include "core/graph/plan_runner.h"

#include <algorithm>
#include <chrono>

namespace convoy {

PlanRunner::PlanRunner(const Plan& plan, Device& device, bool capture)
    : plan_(plan), device_(device), capture_(capture && device.captures()) {}

void PlanRunner::run() {
  if (ran_ && capture_ && pieces_.empty()) capture();
  if (pieces_.empty()) run_steps(0, plan_.steps().size());
  for (const Piece& piece : pieces_) {
    if (piece.captured) {
      piece.captured->launch(device_.compute());
      plan_.between_steps();
    } else {
      run_steps(piece.begin, piece.end);
    }
  }
  ran_ = true;
}

void PlanRunner::run_steps(size_t begin, size_t end) const {
  for (size_t i = begin; i < end; ++i) {
    plan_.steps()[i].run();
    plan_.between_steps();
  }
}

void PlanRunner::capture() {
  const std::vector<Step>& steps = plan_.steps();
  for (size_t begin = 0; begin < steps.size();) {
    size_t end = begin + 1;
    while (end < steps.size() && steps[end].capturable == steps[begin].capturable) ++end;
    Piece piece{begin, end, nullptr};
    if (steps[begin].capturable) {
      piece.captured = device_.capture([&] {
        for (size_t i = begin; i < end; ++i) steps[i].run();
      });
    }
    pieces_.push_back(std::move(piece));
    begin = end;
  }
}

void PlanRunner::run_timed(std::vector<double>& seconds) {
  using Clock = std::chrono::steady_clock;
  seconds.resize(plan_.steps().size());
  for (size_t i = 0; i < seconds.size(); ++i) {
    const Clock::time_point begin = Clock::now();
    run_steps(i, i + 1);
    device_.compute().synchronize();
    seconds[i] += std::chrono::duration<double>(Clock::now() - begin).count();
  }
  ran_ = true;
}

int PlanRunner::captured_pieces() const {
  return static_cast<int>(std::ranges::count_if(pieces_, [](const Piece& piece) { return piece.captured != nullptr; }));
}

}  // namespace convoy
