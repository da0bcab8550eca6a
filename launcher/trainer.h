// The training loop of one rank.  Read Trainer::step() first: it is what everything else is there for.
#pragma once

#include <memory>
#include <optional>

#include "core/base/log.h"
#include "core/data/loader.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"
#include "dist/communicator.h"
#include "launcher/metrics.h"
#include "launcher/progress.h"
#include "launcher/replica.h"
#include "launcher/run_directory.h"
#include "launcher/signals.h"
#include "launcher/step_report.h"

namespace convoy {

struct Evaluation {
  double loss = 0;  // mean over the images
  int64_t correct = 0;
  int64_t images = 0;
  double accuracy() const { return images > 0 ? static_cast<double>(correct) / static_cast<double>(images) : 0; }
};

// Counts each image of `dataset` exactly once for any number of ranks; the same result on every rank.
Evaluation evaluate(Replica& replica, const Dataset& dataset, Communicator& communicator, const LoaderOptions& options);

// How long a run is and when it pauses, in steps.
struct Horizon {
  int64_t steps = 0;            // of the whole run
  int64_t steps_per_epoch = 0;  // full global batches of the training set
  int64_t evaluate_every = 0;   // 0: only at the end
  int64_t save_every = 0;       // 0: only at the end
};

class Trainer {
 public:
  struct Parts {  // made by train_command, in order; all outlive the trainer
    Device& device;
    Communicator& communicator;
    Replica& replica;
    Optimizer& optimizer;
    Schedule schedule;
    Sampler sampler;
    const Dataset& training_set;
    const Dataset* test_set;  // null: nothing is evaluated
    LoaderOptions loading;
    uint64_t seed;
    Log& log;
    Progress& progress;
    MetricsExporter* metrics;     // null: none
    RunDirectory* run_directory;  // null on all ranks but 0
    Signals& signals;
  };
  Trainer(const Parts& parts, const Horizon& horizon, int64_t first_step);

  // Trains to the end of the horizon, or until a signal asks to stop.
  // Returns kDone, kPreempted, or kInterrupted.  Throws Error(kNonFinite) when a loss is not finite.
  ExitCode run();

  // One optimizer update from one global batch.
  StepReport step();

  int64_t steps_done() const { return step_; }
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  void prepare(const Batch& batch);
  StepReport report(double data_wait_seconds, double seconds) const;
  void save();

  Parts parts_;
  Horizon horizon_;
  Share share_;  // of the micro-batches of a step
  int64_t step_;
  Loader loader_;
  std::optional<Evaluation> last_evaluation_;
};

}  // namespace convoy
