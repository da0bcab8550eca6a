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

// With train.recompute: auto, as if it were blocks.
ReplicaOptions replica_options(const Experiment& experiment, const ResolvedBatch& batch, int rank, int world);
// To train samples of that shape, within train.memory_mib, see fit_into_memory().
// `hdf5` is for the file of a teacher.
std::unique_ptr<Replica> make_replica(const Experiment& experiment, const ResolvedBatch& batch, const Shape& sample,
                                      Backend& backend, const Communicator& host, const Hdf5Options& hdf5 = {});
Horizon horizon(const Experiment& experiment, int64_t steps_per_epoch);
// Throws Error(kConfig) where they need test data and there are none.
Watchers make_watchers(const Experiment& experiment, double learning_rate, const Horizon& horizon, bool test_data);
Schedule make_schedule(const Experiment& experiment, double learning_rate, const Horizon& horizon);
// Throws Error(kConfig) for a group of the optimizer that matches none of `names`, those of the parameters.
void require_matches(const OptimizerConfig& config, const std::vector<std::string>& names);
// `parameters` are those of `graph`; the backend's products and `allocator` must outlive it.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, Backend& backend, const Graph& graph,
                                          const Parameters& parameters, Allocator& allocator);

}  // namespace convoy
