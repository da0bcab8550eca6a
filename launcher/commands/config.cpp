// convoy config show|validate|schema: the settings of an experiment, without running it.
#include <array>
#include <iostream>

#include "core/base/error.h"
#include "launcher/commands/commands.h"
#include "launcher/config/experiment.h"
#include "launcher/config/values.h"
#include "launcher/datasets.h"
#include "launcher/model_builder.h"
#include "launcher/network_flags.h"
#include "launcher/setup.h"

namespace convoy {
namespace {

Experiment load(const CommandLine& line) {
  return load_experiment(require_word(line, 1, "an experiment file"), line.overrides, hdf5_options(line));
}

std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Node& node : graph.nodes()) {
    for (const ParameterSpec& parameter : node.layer->parameters(graph.input_shapes(node))) {
      names.push_back(node.name + "." + parameter.name);
    }
  }
  return names;
}

// What needs the network or the data to be found: impossible shapes, groups without parameters, too few samples.
std::string validated(const CommandLine& line) {
  const Experiment experiment = load(line);
  const ResolvedBatch batch = resolve(experiment.batch, 1);
  const int64_t samples = training_samples(experiment.data);
  for (const BatchConfig& it : batches(experiment)) require_full_batch(it, samples, 1);
  const Model model = build_model(experiment, sample_shape(experiment.data), batch.micro);
  require_matches(experiment.optimizer, parameter_names(model.graph));
  for (const StageSettings& stage : stage_settings(experiment, sample_shape(experiment.data), 1)) {
    stage_model(experiment, stage, model.graph);
  }
  const ModelConfig& config = experiment.model;
  const bool has_weights = config.weights || (config.base && config.base->weights) || experiment.optimizer.state;
  const std::string unread = std::string(has_weights ? "; the files of its weights were not read" : "") +
                             (experiment.data.ignore_label ? "; labels to ignore were not looked for" : "") +
                             (experiment.loss.teacher ? "; the file of its teacher was not read" : "");
  return line.words[1] + ": ok, " + experiment.model.name + " has " + std::to_string(model.graph.nodes().size()) +
         " layers" + unread + "\n";
}

}  // namespace

int config_command(const CommandLine& line) {
  static constexpr std::array<std::string_view, 3> kActions = {"show", "validate", "schema"};
  const std::string& action = require_word(line, 0, "show, validate or schema");
  if (action == "show") {
    std::cout << show(load(line));
  } else if (action == "validate") {
    std::cout << validated(line);
  } else if (action == "schema") {
    if (line.words.size() > 1) throw Error(ExitCode::kUsage, "config schema: unexpected '" + line.words[1] + "'");
    std::cout << schema();
  } else {
    throw Error(ExitCode::kUsage, "config: unknown action '" + action + "'" + did_you_mean(action, kActions));
  }
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace convoy
