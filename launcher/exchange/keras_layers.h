// What the layers of a Keras configuration are in a model file.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "launcher/exchange/keras_weights.h"

namespace convoy {

struct KerasModel {
  std::string text;                            // of a model file
  std::optional<std::array<int, 3>> shape;     // [H,W,C], where all of them are known
  int classes = 0;                             // where the network ends in a vector
  bool softmax = false;                        // one was at the end, and was dropped
  std::optional<Preprocessing> preprocessing;  // of Rescaling and Normalization at the front
  std::vector<ForeignTensor> constants;        // of parameters that Keras' layer has not: ones and zeros
  std::vector<std::string> training_notes;
  std::vector<std::string> notes;
};

// Throws Error(kConfig) naming file and layer for what Convoy has not, Error(kBadData) for what Keras would not write.
KerasModel convert_keras_layers(const KerasGraph& graph, const KerasWeights& weights, const std::string& where);

}  // namespace convoy
