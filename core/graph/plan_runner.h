// Runs a plan again and again: step by step, or as pieces of work that the device captured once (CUDA graphs).
#pragma once

#include <memory>
#include <vector>

#include "core/graph/plan.h"

namespace convoy {

// The first run is step by step, so that libraries load and set up what cannot be captured; the second captures.  What
// runs, and in what order, is the same.  Steps that cannot be captured run between the pieces.
class PlanRunner {
 public:
  // `plan` must not change from here on; both must outlive it.  `capture`: where the device can.
  PlanRunner(const Plan& plan, Device& device, bool capture);

  // On a device that runs ahead, the work may go on when this returns.
  void run();
  // Step by step, each waited for; adds each step's seconds to seconds[i].
  void run_timed(std::vector<double>& seconds);
  // Pieces that were captured; 0 until the second run.
  int captured_pieces() const;

 private:
  // Steps [begin, end) of the plan; null: they run one by one.
  struct Piece {
    size_t begin = 0, end = 0;
    std::unique_ptr<CapturedWork> captured;
  };
  void capture();
  void run_steps(size_t begin, size_t end) const;

  const Plan& plan_;
  Device& device_;
  const bool capture_;
  bool ran_ = false;
  std::vector<Piece> pieces_;
};

}  // namespace convoy
