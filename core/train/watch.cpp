#include "core/train/watch.h"

#include <algorithm>
#include <cmath>

namespace convoy {

bool is_better(Metric metric, double value, const std::optional<double>& best, double margin) {
  if (!best) return std::isfinite(value);
  return metric == Metric::kLoss ? value < *best - margin : value > *best + margin;
}

namespace {

constexpr double kSmallestCut = 1e-8;  // PyTorch's eps: smaller ones are not made

// As PyTorch computes it, whose products round otherwise than sums do.
bool is_better(const PlateauOptions& options, double value, const std::optional<double>& best) {
  if (!best || options.threshold_mode == ThresholdMode::kAbs) {
    return is_better(options.metric, value, best, options.threshold);
  }
  return options.metric == Metric::kLoss ? value < *best * (1 - options.threshold)
                                         : value > *best * (options.threshold + 1);
}

}  // namespace

bool Plateau::observe(double value) {
  if (is_better(options_, value, state_.best)) {
    state_.best = value;
    state_.bad = 0;
  } else {
    ++state_.bad;
  }
  if (state_.cooldown > 0) {
    --state_.cooldown;
    state_.bad = 0;
  }
  if (state_.bad <= options_.patience) return false;
  state_.cooldown = options_.cooldown;
  state_.bad = 0;
  const double lower = std::max(state_.learning_rate * options_.factor, options_.min_lr);
  if (!(state_.learning_rate - lower > kSmallestCut)) return false;
  state_.learning_rate = lower;
  return true;
}

void EarlyStopping::observe(double value) {
  ++state_.waited;
  const auto better = [&](double best) {  // as Keras computes it
    return options_.metric == Metric::kLoss ? value + options_.min_delta < best : value - options_.min_delta > best;
  };
  if (state_.best ? !better(*state_.best) : !std::isfinite(value)) return;
  state_ = {value, 0};
}

bool EarlyStopping::stops() const { return state_.waited > 0 && state_.waited >= options_.patience; }

}  // namespace convoy
