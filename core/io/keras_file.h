// Files of Keras 1, 2 and 3: what they hold, without understanding the network.
//
//   legacy model    model.save("m.h5"): configuration, weights under /model_weights, /optimizer_weights
//   legacy weights  save_weights("m.h5") of Keras 1 and 2, and keras.applications' downloads: weights under /
//   weights         save_weights("m.weights.h5") of Keras 3: /layers/<class>[_k]/vars/{0,1,…}
//   keras           model.save("m.keras"): a zip of metadata.json, config.json and model.weights.h5
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/io/hdf5.h"
#include "core/io/host_tensor.h"

namespace convoy {

enum class KerasFormat { kLegacyModel, kLegacyWeights, kWeights, kKeras };
const char* to_string(KerasFormat format);

// The weights of one layer, in the order of the file.  Of a nested model: one layer in the legacy formats, with all of
// its weights (first the trainable ones); in the others its inner layers too, for itself and each of them.
struct KerasLayer {
  std::string name;  // legacy: as in layer_names; weights, keras: the attribute `name` of vars, "" where there is none
  std::string path;  // weights, keras: "conv2d_1", of an inner layer "functional/conv2d"; legacy: the name
  std::vector<HostTensor> weights;  // legacy: named as in weight_names, "conv2d/kernel:0"; else "0", "1", …
};

struct KerasFile {
  std::string path;
  KerasFormat format = KerasFormat::kLegacyModel;
  std::string keras_version;    // "" where it is not said: Keras 1
  std::string model_config;     // JSON; "" in the formats of weights only
  std::string training_config;  // JSON; "" where the model was not compiled.  keras: compile_config of config.json
  // With weightless ones where the file lists them.  Legacy: in the order of the model, behind them one named
  // top_level_model_weights where the model has weights of its own.  Else by class, as numbered within it: conv2d,
  // conv2d_1, dense; the model's own weights under path "".  States of random numbers are left out.
  std::vector<KerasLayer> layers;
  std::vector<HostTensor> optimizer;  // in the order of the file: weight_names, or numerically
};

// Throws Error(kNoInput, kBadData, kUnavailable) naming file and object.
KerasFile read_keras(const std::string& path, const Hdf5Options& options = {});

// Writes `file.format`, atomically; of the formats with a configuration, exactly what Keras 3 writes, and readable by
// Keras 2 where the format is as old.  Only the order of weights counts where their names are numbers.
void write_keras(const std::string& path, const KerasFile& file, const Hdf5Options& options = {});

}  // namespace convoy
