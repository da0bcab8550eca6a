// From a file of any format to a Network, and back.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "core/base/file.h"
#include "launcher/exchange/network.h"
#include "launcher/exchange/readers.h"
#include "launcher/exchange/weights.h"

namespace convoy {

struct NetworkOptions {
  std::string model_file = {};                   // a model file (YAML) for a file that has weights only, else ""
  std::optional<std::array<int, 3>> shape = {};  // [H,W,C]; where the file does not say it, or to change it
  std::string preprocessing = {};                // see named_preprocessing(); "": what the file says
  bool averaged = false;                         // of a checkpoint: the averaged weights
  bool partial = false;  // parameters that the file has not start as the layers ask, from seed 1
  Hdf5Options hdf5 = {};
};

struct OpenedNetwork {
  Network network;
  std::string format;                       // of the file
  std::vector<std::string> notes;           // what was left out or changed on the way in
  std::vector<std::string> training_notes;  // of the loss and the optimizer
  MatchedWeights matched;                   // without the weights: they are in the network
};

// Throws Error: as read_model_file(); kUsage where the architecture or the shape is neither in the file nor given;
// kBadData where file and network do not belong together; kConfig for a network that cannot be built.
OpenedNetwork open_network(const std::string& path, const NetworkOptions& options = {});
OpenedNetwork open_network(const ForeignModel& file, const NetworkOptions& options = {});  // that has been read

// In the format that the end of `path` names: .safetensors, .h5, .weights.h5, .keras or .onnx; atomically.
// Returns notes for the user: what the format has no place for, or has otherwise.
// Throws Error: kUsage for another end, kCannotCreate, kIo; kConfig for a layer that the format has not.
std::vector<std::string> write_network(FileSystem& files, const std::string& path, const Network& network,
                                       const ExportOptions& options);
bool can_write(const std::string& path);  // whether a format that is written ends so
// Throws Error(kUsage), which lists the formats and `others`, where none does.
void require_known_format(const std::string& path, const std::string& others = "");

// Whether `path` is one that read_model_file() is for, not YAML: by its ending, as a directory, or by its content.
bool names_foreign_model(const std::string& path);

}  // namespace convoy
