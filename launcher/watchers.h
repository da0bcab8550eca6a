// What follows from the evaluations of a run: a lower learning rate, an early end.  The same on all ranks, since
// evaluations are, and kept in checkpoints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/train/watch.h"

namespace convoy {

struct Evaluation;

double value_of(Metric metric, const Evaluation& evaluation);
std::string text_of(Metric metric, double value);  // "loss 0.1234", "top-1 98.76%"

struct Watchers {
  // Fixed for a run.
  double learning_rate = 0;  // of the schedule
  int64_t warmup_steps = 0;  // in which the plateau sees nothing
  // Their state.
  std::optional<Plateau> plateau = {};
  std::optional<EarlyStopping> early_stopping = {};
  int64_t evaluated_step = 0;  // the last one that they have seen

  bool any() const { return plateau || early_stopping; }
  bool stops() const { return early_stopping && early_stopping->stops(); }
  // The rate of a step, `scheduled` where there is no plateau.
  float rate(int64_t step, float scheduled) const;

  struct Notice {
    std::string event, text;  // for log.jsonl, for people
  };
  std::vector<Notice> observe(int64_t step, const Evaluation& evaluation);

  // The state as JSON, and back from what `source` says.  A watcher that the text does not have starts afresh.
  // Throws Error(kBadData).
  std::string text() const;
  void restore(const std::string& text, const std::string& source);
};

}  // namespace convoy
