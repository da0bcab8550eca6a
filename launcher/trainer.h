// The training loop of one rank.  Read Trainer::step() first: it is what everything else is there for.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/train/schedule.h"
#include "dist/communicator.h"
#include "launcher/bad_samples.h"
#include "launcher/evaluation.h"
#include "launcher/feed.h"
#include "launcher/feeding.h"
#include "launcher/horizon.h"
#include "launcher/metrics.h"
#include "launcher/progress.h"
#include "launcher/replica.h"
#include "launcher/run_directory.h"
#include "launcher/signals.h"
#include "launcher/snapshot.h"
#include "launcher/step_report.h"
#include "launcher/stopwatch.h"
#include "launcher/watchers.h"

namespace convoy {

// What a part of the training is fed with.
struct TrainingStage {
  ResolvedBatch batch;
  Feeding feeding;
  Shape images;  // a micro-batch
  DataSource data;
  float learning_rate_factor = 1;  // times what the schedule says
};

class Trainer {
 public:
  struct Parts {  // made by TrainingRun, in order; all outlive the trainer
    Device& device;
    Communicator& communicator;
    Replica& replica;                          // whose last pass ends with the update
    WeightAverage* average;                    // what is evaluated; null: the weights themselves
    bool scales_loss;                          // f16: gradients that overflow are no fault
    bool clips_norm;                           // of gradients
    const std::vector<TrainingStage>& stages;  // as those of the horizon
    DataSource test_data;                      // without a data set: nothing is evaluated
    Signals& signals;
    Progress& progress;
    const Log& log;
    MetricsExporter* metrics;     // null: none
    Snapshot& snapshot;           // that checkpoints are made of
    Checkpointer* checkpointer;   // null on all ranks but 0
    RunDirectory* run_directory;  // null on all ranks but 0
    BadSamples& bad_samples;
    Watchers& watchers;
    MixOptions mix;  // of training rows
  };
  Trainer(const Parts& parts, Schedule schedule, const Loading& loading, uint64_t seed, const Horizon& horizon,
          int64_t first_step);

  // Trains to the end of the horizon, or until the watchers or a signal ask to stop; every rank returns the same.
  // kDone, kPreempted, kInterrupted; kNonFinite when a loss was not finite (the last checkpoint is from before);
  // kIo when the checkpoint at the end could not be written.  One that fails on the way is only a warning.
  ExitCode run();

  // Gives the device one optimizer update from one global batch.  What came of it is seen by follow(), at once or, on a
  // device that runs ahead, two steps later.
  void step();

  int64_t steps_done() const { return step_; }
  // What was not finite, in which step and where, once run() returned kNonFinite.
  const std::string& fault() const { return fault_; }
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  void enter_stage();
  const TrainingStage& stage() const { return parts_.stages[stage_]; }
  void begin_step();
  std::optional<ExitCode> follow(size_t pending);
  StepReport finished_report();
  void publish(const StepReport& report);
  void evaluate_now();
  void swap_average();
  void follow_evaluation();
  void report_bad_samples();
  void come_together();
  void average_over_ranks();
  bool take_snapshot(const char* what);
  bool save();
  Checkpointer::Moment moment() const;
  std::string nonfinite_origin();
  ExitCode stop(ExitCode code);

  Parts parts_;
  Schedule schedule_;
  Loading loading_;
  uint64_t seed_;
  Horizon horizon_;
  int64_t step_;  // steps given to the device
  size_t stage_ = 0;
  Share share_;  // of the micro-batches of a step
  std::unique_ptr<Feed> feed_;
  std::deque<StepReport> reports_;  // of steps whose control block is not back
  Stopwatch since_;                 // the last report, or what came between
  bool save_requested_ = false;
  std::string fault_;
  std::optional<Evaluation> last_evaluation_;
  int64_t averaged_step_;
  int64_t evaluated_step_ = -1, save_tried_at_ = -1;
  bool saved_ = false;                   // at save_tried_at_
  ExitCode save_error_ = ExitCode::kIo;  // if it was not
};

}  // namespace convoy
