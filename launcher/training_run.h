// One training run on one rank: everything that is made before the first step, in the order in which it is made.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "launcher/setup.h"

namespace convoy {

class TrainingRun {
 public:
  struct Options {
    std::string version;       // of the program; ranks compare it, checkpoints record it
    bool fresh = false;        // an earlier life of this run is moved aside
    bool gpustat = false;      // report on the GPU, or say that there is none
    int threads = 1;           // of each rank
    std::string binding = {};  // a line for the run header
    Hdf5Options hdf5 = {};     // of the files that weights start from
  };
  // Collective; the references must outlive it.  Rank 0 opens the run directory, finds where to go on, and prints the
  // run header.  Throws CollectiveError, the same on every rank.
  TrainingRun(const Options& options, const Experiment& experiment, Communicator& communicator, Signals& signals);

  // Trains; rank 0 prints how it ended.  kDone, kPreempted or kInterrupted.
  // Throws CollectiveError(kNonFinite, kIo), see Trainer::run().
  ExitCode run();

  const Replica& replica() const { return *replica_; }
  // Weights and running statistics as they are now; views, valid until the run goes on.
  std::vector<NamedTensor> model_tensors() {
    snapshot_->take_model();
    return snapshot_->model_tensors();
  }
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }

 private:
  bool leads() const { return communicator_.rank() == 0; }
  bool speaks() const { return leads() && experiment_.progress != ProgressStyle::kNone; }
  void make_data();
  void share_data();
  void make_caches();
  void plan_network();
  void make_network();
  OptimizerConfig optimizer_config() const;  // with the learning rate for our batch; of all ranks together
  void open_run_directory();
  void open_bad_samples();
  bool resume();               // whether there is a checkpoint to go on from
  int loader_threads() const;  // at most
  void announce() const;
  void export_model(int64_t steps);
  void conclude(ExitCode code, const Trainer& trainer, double images_per_second) const;

  const Options options_;
  const Experiment& experiment_;
  Communicator& communicator_;
  Signals& signals_;
  const Log log_;
  PosixFileSystem files_;

  Backend backend_;
  std::string near_;  // what was done to be near the device; may be empty
  BadSamples bad_samples_;
  Datasets data_;
  std::unique_ptr<DeviceCache> training_cache_, test_cache_;
  ResolvedBatch batch_;                  // experiment.batch: that of the rest behind the stages
  std::string data_hash_;                // of the training data of all ranks
  std::vector<StageSettings> settings_;  // of the stages
  std::vector<TrainingStage> stages_;
  Horizon horizon_;
  Watchers watchers_;
  std::optional<ReplicaPlan> plan_;  // until there is a replica
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;  // null: there is none
  std::unique_ptr<Snapshot> snapshot_;
  Manifest manifest_;
  std::unique_ptr<RunDirectory> directory_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<MetricsExporter> metrics_;
  int64_t first_step_ = 0;
  std::string resumed_;
  std::vector<std::string> initial_;  // where weights came from, else; for people
  std::optional<Evaluation> last_evaluation_;
};

}  // namespace convoy
