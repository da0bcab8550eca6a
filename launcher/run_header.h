// The lines that a run begins with: everything that decides what comes out, and how fast.
#pragma once

#include <string>
#include <vector>

#include "dist/communicator.h"
#include "launcher/config/experiment.h"
#include "launcher/replica.h"
#include "launcher/trainer.h"

namespace convoy {

struct RunFacts {
  const std::string& version;
  const Experiment& experiment;
  const ResolvedBatch& batch;
  const std::vector<TrainingStage>& stages;
  const Horizon& horizon;
  const Backend& backend;
  const Communicator& communicator;
  const Replica& replica;
  const Optimizer& optimizer;
  int64_t training_images, test_images;
};

std::string run_header(const RunFacts& facts);

}  // namespace convoy
