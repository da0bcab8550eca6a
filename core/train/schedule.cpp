#include "core/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/base/error.h"

namespace convoy {
namespace {

double between(double from, double to, double share) { return from + (to - from) * share; }

// 0 … 1 for 0 … 1, slow at both ends.
double half_cosine(double done) { return 0.5 * (1 - std::cos(std::numbers::pi * done)); }

double share(int64_t step, double length) { return std::min(static_cast<double>(step) / std::max(length, 1.0), 1.0); }

// How much of its cosine is done at `step`, after however many restarts.
double share_since_restart(const ScheduleOptions& options, int64_t step) {
  int64_t length = options.restart_steps;
  while (step >= length) {
    if (options.restart_factor == 1) {
      step %= length;
    } else {
      step -= length;
      length *= options.restart_factor;
    }
  }
  return share(step, static_cast<double>(length));
}

double one_cycle(const ScheduleOptions& options, int64_t step, int64_t length) {
  const double rise = double{options.rise} * static_cast<double>(length) - 1;
  const auto at = static_cast<double>(step);
  if (at <= rise) return between(options.start_fraction, 1, half_cosine(at / std::max(rise, 1.0)));
  const double fall = static_cast<double>(length - 1) - rise;
  return between(1, options.final_fraction, half_cosine(std::min((at - rise) / std::max(fall, 1.0), 1.0)));
}

// The factor at `step` steps after warm-up.
double shape(const ScheduleOptions& options, int64_t step) {
  using Type = ScheduleOptions::Type;
  const int64_t length = options.total_steps - options.warmup_steps, every = std::max<int64_t>(options.step_steps, 1);
  const double gamma = options.gamma, start = options.start_fraction, final = options.final_fraction;
  const double done = share(step, static_cast<double>(length));
  switch (options.type) {
    case Type::kConstant: return start;
    case Type::kStep: {
      const int64_t drops = step / every;
      return std::pow(gamma, static_cast<double>(drops));
    }
    case Type::kMultistep:
      return std::pow(gamma, static_cast<double>(std::ranges::count_if(
                                 options.milestones, [=](int64_t milestone) { return milestone <= step; })));
    case Type::kExponential: return std::pow(gamma, static_cast<double>(step) / static_cast<double>(every));
    case Type::kPolynomial: return between(final, start, std::pow(1 - done, double{options.power}));
    case Type::kCosine:
      return between(start, final, half_cosine(options.restart_steps > 0 ? share_since_restart(options, step) : done));
    case Type::kOneCycle: return one_cycle(options, step, length);
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
    return static_cast<float>(options.learning_rate * between(options.warmup_start, 1, done));
  };
}

Schedule in_sequence(std::vector<SchedulePhase> phases) {
  CHECK(!phases.empty());
  return [phases = std::move(phases)](int64_t step) {
    size_t phase = 0;
    for (; phase + 1 < phases.size() && step >= phases[phase].steps; ++phase) step -= phases[phase].steps;
    return phases[phase].schedule(step);
  };
}

}  // namespace convoy
