// The steps of one rank of many, where neither the others are there nor the memory: what a prediction goes through.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dist/data_parallel.h"
#include "launcher/config/experiment.h"
#include "launcher/predict/collective_cost.h"

namespace convoy {

struct PlannedExchange {
  Exchange kind;
  int64_t bytes;
};

// A step of a pass (core/graph/plan.h), as data.
struct PlannedStep {
  std::string name;
  bool of_network = false;  // else it works on flat buffers, whatever the micro-batch is
  int64_t flops = 0, bytes = 0;
  std::vector<PlannedExchange> exchanges;  // that it gives to the communicator
  bool joins = false;
};

struct RankPlan {
  std::vector<PlannedStep> steps;  // of all passes of a training step, and the update
  int images = 0;                  // that the rank trains on
  int micro_batch = 0;
};

// Of rank 0 of `ranks`, each of which has the whole batch of the experiment (weak scaling): the plan that training
// makes, by the CPU's kernels, on addresses that nobody touches.  Buckets are those of cut_buckets().  train.stages
// are left out.  `sum_time`: what buckets are cut by; nothing: ranks do not measure it (NCCL).  Throws Error(kConfig)
// for what cannot be trained so.
RankPlan plan_rank(Experiment experiment, int ranks, const std::optional<SumTime>& sum_time = {},
                   const Hdf5Options& hdf5 = {});

}  // namespace convoy
