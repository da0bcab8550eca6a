// How layers and models are written down: as Keras 3 does in a .keras, and so that both Keras 2 and 3 read it in a
// legacy .h5, where every key that has its default is left out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/io/host_tensor.h"

namespace convoy {

// A layer of a Keras model that is being written.
struct KerasLayerOut {
  std::string class_name, name;
  nlohmann::ordered_json config = nlohmann::ordered_json::object();  // without name, trainable and dtype
  std::vector<size_t> inputs;                                        // layers before it; the first is the InputLayer
  std::vector<int> dims;                                             // of its output, without the batch
  bool trainable = true;
  std::vector<std::pair<std::string, HostTensor>> weights = {};  // role and tensor, as Keras orders them
  std::vector<std::string> parameters = {};                      // ours, by weight: "conv1.weight"
};

class KerasDialect {
 public:
  explicit KerasDialect(bool legacy) : legacy_(legacy) {}

  // The whole model: Sequential where each layer reads the one before it, else Functional.
  nlohmann::ordered_json model(const std::string& name, const std::vector<KerasLayerOut>& layers) const;

  static bool is_chain(const std::vector<KerasLayerOut>& layers);

 private:
  nlohmann::ordered_json layer(const KerasLayerOut& layer, const std::vector<KerasLayerOut>& all) const;
  nlohmann::ordered_json inbound(const KerasLayerOut& layer, const std::vector<KerasLayerOut>& all) const;

  bool legacy_;
};

// Of Keras 3: the configuration of a layer of this class without settings, and whether its shape is written beside it.
struct KerasDefaults {
  const char* config = "{}";
  bool built = false;
};
KerasDefaults keras_defaults(const std::string& class_name);

}  // namespace convoy
