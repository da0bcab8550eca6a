// Networks in files of tensors: safetensors (ours, and by PyTorch's names) and npz; and what of a network is kept
// beside its weights, so that a file of ours is a whole model.
#pragma once

#include <map>
#include <string>

#include "core/base/file.h"
#include "core/io/safetensors.h"
#include "core/train/checkpoint.h"
#include "launcher/exchange/network.h"
#include "launcher/exchange/readers.h"

namespace convoy {

// The metadata of a safetensors file: architecture, shape, preprocessing, names of classes.  docs/checkpoint-format.md.
std::map<std::string, std::string> describe_network(const ModelConfig& model, const Shape& sample,
                                                    const std::optional<Preprocessing>& preprocessing,
                                                    const std::vector<std::string>& class_names);
std::map<std::string, std::string> describe_training(const OptimizerConfig& optimizer, const LossConfig& loss);

// The elements of f32 tensors, by name.
std::map<std::string, std::vector<float>> elements_of(const std::vector<NamedTensor>& tensors);

// Throw Error(kBadData, kNoInput) naming file and tensor.
ForeignModel from_safetensors(const SafetensorsFile& file);
ForeignModel from_checkpoint(const Checkpoint& checkpoint, bool averaged = false);
// Throws Error(kUsage) where there are none.
std::map<std::string, std::vector<float>> require_averages(const Checkpoint& checkpoint);
ForeignModel read_npz_model(const std::string& path);

// Ours, or with PyTorch's names and orders of elements (options.pytorch_names).  Atomically.
void write_safetensors_model(FileSystem& files, const std::string& path, const Network& network,
                             const ExportOptions& options);

}  // namespace convoy
