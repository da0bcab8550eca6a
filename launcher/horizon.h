// How long a run is, how its steps lie in epochs, and when it pauses: pure functions of the step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convoy {

// A part of a run, from one of its epochs to another, in which all steps are alike.
struct StageSteps {
  int64_t first_epoch = 0, first_step = 0;
  int64_t steps_per_epoch = 0;  // full global batches of the training set …
  int64_t global_batch = 0;     // … of so many rows
};

struct Horizon {
  int64_t steps = 0;                    // of the whole run
  std::vector<StageSteps> stages = {};  // in order, the first from step 0 on; the last one has the rest
  int64_t evaluate_epochs = 0;          // at the end of every so many; 0: only at the end of the run
  int64_t save_steps = 0;               // likewise, behind every so many steps …
  int64_t save_epochs = 0;              // … or epochs; 0: not by them
  int64_t log_steps = 50;               // lines of log.jsonl

  // Where the step that comes next lies when `step` of them are done: its stage, its epoch, and how many steps of that
  // epoch are done.
  size_t stage(int64_t step) const;
  int64_t epoch(int64_t step) const;
  int64_t step_in_epoch(int64_t step) const;
  int64_t samples_in_epoch(int64_t step) const { return step_in_epoch(step) * stages[stage(step)].global_batch; }

  bool evaluates(int64_t step) const { return ends(step, evaluate_epochs); }
  bool saves(int64_t step) const { return (save_steps > 0 && step % save_steps == 0) || ends(step, save_epochs); }

  // Where `epochs` are done, to the nearest step.
  int64_t step_at(double epochs) const;

  // Schedules count in steps of the last stage, so that what they do in an epoch does not depend on its batches.
  int64_t steps_per_epoch() const { return stages.back().steps_per_epoch; }
  int64_t schedule_step(int64_t step) const;

 private:
  bool ends(int64_t step, int64_t epochs) const {  // a number of epochs that `epochs` divides
    return epochs > 0 && step_in_epoch(step) == 0 && epoch(step) % epochs == 0;
  }
};

}  // namespace convoy
