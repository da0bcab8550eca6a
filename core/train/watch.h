// What a run does about how well it does on its test data: decisions that follow from all evaluations so far, and
// nothing else.  Their state is a few numbers, which go into checkpoints.
#pragma once

#include <cstdint>
#include <optional>

namespace convoy {

enum class Metric : uint8_t { kLoss, kAccuracy };  // of the test data; accuracy is a share, not per cent

// Whether `value` is better than all before, `best`, by more than `margin`.  Without a best, any finite value is.
bool is_better(Metric metric, double value, const std::optional<double>& best, double margin = 0);

enum class ThresholdMode : uint8_t { kRel, kAbs };

struct PlateauOptions {
  Metric metric = Metric::kLoss;
  double factor = 0.1;      // of the learning rate, where …
  int64_t patience = 10;    // … more evaluations than so many, one after another, were no better
  double threshold = 1e-4;  // by how much a value must be better: a share of the best one, or absolute
  ThresholdMode threshold_mode = ThresholdMode::kRel;
  int64_t cooldown = 0;  // evaluations after a cut in which none counts as bad
  double min_lr = 0;
};

// torch.optim.lr_scheduler.ReduceLROnPlateau.
class Plateau {
 public:
  struct State {
    double learning_rate = 0;
    std::optional<double> best = {};
    int64_t bad = 0;       // evaluations, one after another
    int64_t cooldown = 0;  // evaluations left
  };
  Plateau(const PlateauOptions& options, double learning_rate) : options_(options), state_{learning_rate} {}

  bool observe(double value);  // of the metric; whether the learning rate fell
  double learning_rate() const { return state_.learning_rate; }

  const PlateauOptions& options() const { return options_; }
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  PlateauOptions options_;
  State state_;
};

struct EarlyStoppingOptions {
  Metric metric = Metric::kLoss;
  int64_t patience = 0;  // evaluations, one after another and no better, that end the run; 0 is as good as 1
  double min_delta = 0;  // by how much a value must be better
};

// keras.callbacks.EarlyStopping.
class EarlyStopping {
 public:
  struct State {
    std::optional<double> best = {};
    int64_t waited = 0;  // evaluations since
  };
  explicit EarlyStopping(const EarlyStoppingOptions& options) : options_(options) {}

  void observe(double value);  // of the metric
  bool stops() const;

  const EarlyStoppingOptions& options() const { return options_; }
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  EarlyStoppingOptions options_;
  State state_;
};

}  // namespace convoy
