#include "core/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace convoy {
namespace {

// The factor at `step` steps after warm-up.
double shape(const ScheduleOptions& options, int64_t step) {
  switch (options.type) {
    case ScheduleOptions::Type::kConstant: return 1;
    case ScheduleOptions::Type::kStep: {
      const int64_t times = step / std::max<int64_t>(options.step_steps, 1);
      return std::pow(double{options.gamma}, static_cast<double>(times));
    }
    case ScheduleOptions::Type::kCosine: {
      const auto length = static_cast<double>(std::max<int64_t>(options.total_steps - options.warmup_steps, 1));
      const double done = std::min(static_cast<double>(step) / length, 1.0);
      const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
      return options.final_fraction + (1 - options.final_fraction) * cosine;
    }
  }
  return 1;
}

}  // namespace

Schedule make_schedule(const ScheduleOptions& options) {
  return [options](int64_t step) {
    if (step >= options.warmup_steps) {
      return static_cast<float>(options.learning_rate * shape(options, step - options.warmup_steps));
    }
    const double done = static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
    return static_cast<float>(options.learning_rate * (options.warmup_start + (1 - options.warmup_start) * done));
  };
}

}  // namespace convoy
