// A training step as events: two queues, what computes and what communicates.
#pragma once

#include <vector>

#include "launcher/predict/collective_cost.h"

namespace convoy {

// What the compute queue meets, in the order of the plan.
struct StepEvent {
  enum class Kind : uint8_t {
    kCompute,   // takes `seconds`, longer while an exchange is under way
    kExchange,  // joins the queue of exchanges, which go one by one, slower beside compute; compute goes on
    kJoin       // waits until that queue is empty
  };
  Kind kind = Kind::kCompute;
  double seconds = 0;
  CollectiveCost exchange = {};
};

struct StepTimes {
  double seconds = 0;          // of the step
  double busy = 0;             // exchanges are under way
  double exposed = 0;          // nothing computes, as exchanges are waited for
  double exposed_latency = 0;  // of `exposed`, what would be there without a byte
  double slowed = 0;           // compute took longer, beside exchanges
};

StepTimes simulate(const std::vector<StepEvent>& events, const Contention& contention);

}  // namespace convoy
