// The parts of a run that train, eval and bench make alike from the experiment.
#pragma once

#include <memory>
#include <string>

#include "core/device/device.h"
#include "core/train/optimizer.h"
#include "core/train/schedule.h"
#include "dist/mpi.h"
#include "launcher/backend.h"
#include "launcher/command_line.h"
#include "launcher/config/experiment.h"
#include "launcher/datasets.h"
#include "launcher/replica.h"
#include "launcher/trainer.h"

namespace convoy {

std::string host_name();

// Of this rank.  Collective: it depends on what the other ranks of this host may use.
int usable_processors(RankGroup& group);

// Collective.  What the experiment asks for.
std::unique_ptr<Communicator> make_host_communicator(MpiSession& session, const DistributedConfig& distributed);

struct Start {
  Experiment experiment;
  int threads = 1;      // of this rank
  std::string binding;  // what was done to the processors that it may use; for people, may be empty
  std::unique_ptr<Communicator> communicator;
};
// Collective.  Every rank reads the experiment that is word `index` of its command line; when all have read the same,
// they make the communicator that it asks for.  Throws CollectiveError.
Start start(MpiSession& session, const CommandLine& line, size_t index = 0);

// Collective.  Throws Error(kRanksDisagree) where a rank has another program, device, libraries, data or threads.
// With data.sharding: local training data may differ by host, see launcher/feeding.h.
void agree_on_run(RankGroup& group, const std::string& version, int threads, const Backend& backend,
                  const Datasets& data, Sharding sharding);

// What micro-batches are made of in a part of the training.
struct StageSettings {
  ResolvedBatch batch;
  Shape sample;                // one image of it
  int64_t epochs = 0;          // 0: the rest
  Mark where = {};             // of batch …
  std::string path = "batch";  // … and of its keys; for messages

  // A micro-batch [rows,H,W,C].
  Shape images() const { return {batch.micro, sample.h, sample.w, sample.c}; }
};
// Those of train.stages, and the rest, whose images are `sample`.  Throws Error(kConfig): see resolve(), and for what
// does not go with so small a batch.
std::vector<StageSettings> stage_settings(const Experiment& experiment, const Shape& sample, int world);

// The network for a stage.  Throws Error(kConfig) where its images are too small for it, or it has other parameters
// than `graph`.
Model stage_model(const Experiment& experiment, const StageSettings& stage, const Graph& graph);

// For a replica of `graph` that trains in these stages.  With train.recompute: auto, as if it were blocks.  Reads the
// file of a teacher, which `hdf5` is for.
ReplicaOptions replica_options(const Experiment& experiment, const std::vector<StageSettings>& stages,
                               const Graph& graph, Backend& backend, int rank, int world, const Hdf5Options& hdf5 = {});

// All that may go wrong on one rank alone, before the replica is made, which is collective.
struct ReplicaPlan {
  Model model;
  ReplicaOptions options;
};
// Of the network for `evaluated`, within train.memory_mib, see fit_into_memory().
ReplicaPlan plan_replica(const Experiment& experiment, const StageSettings& evaluated,
                         const std::vector<StageSettings>& stages, Backend& backend, const Communicator& host,
                         const Hdf5Options& hdf5 = {});
// Collective: measures what the buckets of a plan are still to be cut by, before the replica is made.
void cut_buckets_by_time(BucketPolicy& policy, Communicator& communicator);
// `steps_per_epoch` by stage.
Horizon horizon(const Experiment& experiment, const std::vector<StageSettings>& stages,
                const std::vector<int64_t>& steps_per_epoch);
// Throws Error(kConfig) where they need test data and there are none.
Watchers make_watchers(const Experiment& experiment, double learning_rate, const Horizon& horizon, bool test_data);
// `learning_rate` is that for experiment.batch.
Schedule make_schedule(const Experiment& experiment, double learning_rate, const Horizon& horizon);
// Throws Error(kConfig) for a group of the optimizer that matches none of `names`, those of the parameters.
void require_matches(const OptimizerConfig& config, const std::vector<std::string>& names);
// `parameters` are those of `graph`; the backend's products and `allocator` must outlive it.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, Backend& backend, const Graph& graph,
                                          const Parameters& parameters, Allocator& allocator);

}  // namespace convoy
