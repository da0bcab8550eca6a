// Sections of an experiment on their own, as text: what is kept beside weights.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "launcher/config/experiment.h"

namespace convoy {

// `units: classes` and the like: the plain word stands for model.classes, in a base for base.classes.
void substitute_classes(ModelConfig& model);

// The network as a model file that needs no other file.
std::string show(const ModelConfig& model);
std::string show(const OptimizerConfig& optimizer);
std::string show(const LossConfig& loss);
// The same with `made_for`, so that load_model() knows the image [H,W,C] too.
std::string show_model_file(const ModelConfig& model, const std::array<int, 3>& shape);

// Throws Error(kConfig) where a model or its base has none.
void require_layers(const ModelConfig& model);

// The inverse, of text from anywhere.  Files that it names are left out: the weights come with the text.  `source` is
// for messages.  Throw Error(kConfig).
ModelConfig parse_model(const std::string& text, const std::string& source);
OptimizerConfig parse_optimizer(const std::string& text, const std::string& source);
LossConfig parse_loss(const std::string& text, const std::string& source);

// The experiment that `tree` says, with overrides.  Throws Error(kConfig).
Experiment experiment_of(Node tree, const std::vector<std::string>& overrides, const Hdf5Options& hdf5 = {});

// An experiment without a file: trains the network of `model_file`, which says its optimizer too, on `data`: an .npz, a
// directory of MNIST's or CIFAR's files or of images; "" is MNIST in data/mnist or mnist.  The result is exported under
// the name of the model file.  Throws Error(kConfig, kNoInput), and as read_model_file().
Experiment experiment_around(const std::string& model_file, const std::string& data,
                             const std::vector<std::string>& overrides, const Hdf5Options& hdf5 = {});

}  // namespace convoy
