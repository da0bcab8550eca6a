// What training starts from where an experiment names files: model.weights, model.base.weights, optimizer.state.
#pragma once

#include <string>
#include <vector>

#include "launcher/config/experiment.h"
#include "launcher/exchange/weights.h"
#include "launcher/model_builder.h"
#include "launcher/snapshot.h"

namespace convoy {

// Overwrites the copy in `snapshot`; returns lines for people: what came from where, what was left over.
// Throws Error as read_model_file() and match_weights() do; kConfig for an optimizer state of another optimizer.
std::vector<std::string> load_initial_weights(const Experiment& experiment, const Model& model, Snapshot& snapshot,
                                              const Hdf5Options& hdf5);

// Likewise of one file, which must have all that `places` need; `averaged`: see read_model_file().
std::string load_weights(const std::string& path, const std::vector<WeightPlace>& places, Snapshot& snapshot,
                         const Hdf5Options& hdf5, bool averaged = false);

}  // namespace convoy
