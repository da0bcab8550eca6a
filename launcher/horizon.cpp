#include "launcher/horizon.h"

#include <cmath>

#include "core/base/error.h"

namespace convoy {

size_t Horizon::stage(int64_t step) const {
  CHECK(!stages.empty());
  size_t stage = 0;
  while (stage + 1 < stages.size() && stages[stage + 1].first_step <= step) ++stage;
  return stage;
}

int64_t Horizon::epoch(int64_t step) const {
  const StageSteps& it = stages[stage(step)];
  return it.first_epoch + (step - it.first_step) / it.steps_per_epoch;
}

int64_t Horizon::step_in_epoch(int64_t step) const {
  const StageSteps& it = stages[stage(step)];
  return (step - it.first_step) % it.steps_per_epoch;
}

int64_t Horizon::step_at(double epochs) const {
  size_t stage = 0;
  while (stage + 1 < stages.size() && static_cast<double>(stages[stage + 1].first_epoch) <= epochs) ++stage;
  const StageSteps& it = stages[stage];
  const double since = (epochs - static_cast<double>(it.first_epoch)) * static_cast<double>(it.steps_per_epoch);
  return it.first_step + std::llround(since);
}

int64_t Horizon::schedule_step(int64_t step) const {
  const StageSteps& it = stages[stage(step)];
  return it.first_epoch * steps_per_epoch() + (step - it.first_step) * steps_per_epoch() / it.steps_per_epoch;
}

}  // namespace convoy
