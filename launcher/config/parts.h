// Sections of an experiment on their own, as text: what is kept beside weights.
#pragma once

#include <string>

#include "launcher/config/experiment.h"

namespace convoy {

// `units: classes` and the like: the plain word stands for model.classes, in a base for base.classes.
void substitute_classes(ModelConfig& model);

// The network as a model file that needs no other file.
std::string show(const ModelConfig& model);
std::string show(const OptimizerConfig& optimizer);

// `source` is for messages.  Throw Error(kConfig).
ModelConfig parse_model(const std::string& text, const std::string& source);
OptimizerConfig parse_optimizer(const std::string& text, const std::string& source);

}  // namespace convoy
