#include "launcher/initial_weights.h"

#include <filesystem>

#include "launcher/config/values.h"
#include "launcher/fetch.h"

namespace convoy {
namespace {

std::string summary(const ForeignModel& file, const MatchedWeights& matched) {
  std::string text = std::to_string(matched.matches.size()) + " tensors from " + file.path + " (" + file.format + ")";
  if (!matched.unused.empty()) text += "; left over there: " + listed(matched.unused);
  return text;
}

ForeignModel read(const std::string& path, const Hdf5Options& hdf5, bool averaged = false) {
  try {
    return read_model_file(path, hdf5, averaged);
  } catch (const Error& error) {
    throw with_fetch_advice(error, path);
  }
}

std::string load_state(const OptimizerConfig& config, const std::vector<WeightPlace>& places, Snapshot& snapshot,
                       const Hdf5Options& hdf5) {
  const ForeignModel file = read(*config.state, hdf5);
  if (!file.training) bad_data(file.path, "has no state of an optimizer, which optimizer.state asks for");
  if (file.training->optimizer.type != config.type) {
    config_error(config.where, "optimizer.state", file.path + " has the state of another type of optimizer");
  }
  const bool counts = is_adam(config.type) || config.type == OptimizerType::kLamb;
  if (counts && config.steps_before == 0 && file.training->step > 0) {
    config_error(config.where, "optimizer.steps_before",
                 "the state in " + file.path + " has seen " + std::to_string(file.training->step) +
                     " updates; say so, or the first updates will be too large");
  }
  const TrainingState state = match_training(places, file);
  std::map<std::string, std::vector<float>> wanted;
  for (const NamedTensor& tensor : snapshot.optimizer_tensors()) {
    if (tensor.name == "loss_scale") continue;
    const auto found = state.slots.find(tensor.name);
    if (found == state.slots.end()) bad_data(file.path, "has no '" + tensor.name + "' of the optimizer");
    wanted.insert(*found);
  }
  snapshot.set_optimizer(wanted);
  return std::to_string(wanted.size()) + " tensors of the optimizer from " + file.path;
}

}  // namespace

std::string load_weights(const std::string& path, const std::vector<WeightPlace>& places, Snapshot& snapshot,
                         const Hdf5Options& hdf5, bool averaged) {
  const ForeignModel file = read(path, hdf5, averaged);
  const MatchedWeights matched = match_weights(places, file);
  require_complete(matched, file);
  snapshot.set_model(matched.weights);
  return summary(file, matched);
}

std::vector<std::string> load_initial_weights(const Experiment& experiment, const Model& model, Snapshot& snapshot,
                                              const Hdf5Options& hdf5) {
  const ModelConfig& config = experiment.model;
  const bool base_has_weights = config.base && config.base->weights;
  if (!base_has_weights && !config.weights && !experiment.optimizer.state) return {};
  const std::vector<WeightPlace> places = weight_places(model.graph);
  std::vector<WeightPlace> of_base;
  for (const WeightPlace& place : places) {
    if (model.base_layers.contains(place.layer)) of_base.push_back(place);
  }
  std::vector<std::string> lines;
  if (base_has_weights) lines.push_back(load_weights(*config.base->weights, of_base, snapshot, hdf5));
  if (config.weights) lines.push_back(load_weights(*config.weights, places, snapshot, hdf5));
  if (experiment.optimizer.state) lines.push_back(load_state(experiment.optimizer, places, snapshot, hdf5));
  return lines;
}

}  // namespace convoy
