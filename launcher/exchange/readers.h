// One reader and one writer per format; network.h has what they share.
#pragma once

#include <string>
#include <vector>

#include "core/io/keras_file.h"
#include "core/io/onnx.h"
#include "launcher/exchange/network.h"

namespace convoy {

// ---- Keras (keras_import.cpp, keras_export.cpp)

// With a configuration: the architecture and its weights by our names.  Without: weights only, in layer order.
// Throws Error(kBadData, kConfig) naming file and layer.
ForeignModel from_keras(const KerasFile& file);

struct ExportOptions {
  bool probabilities = false;  // a softmax follows the logits
  bool fold_batch_norm = false;
  bool pytorch_names = false;  // safetensors: names, element orders and counters of PyTorch
};

// `file.path` is left to the caller.  With training state: training_config and optimizer weights that Keras' fit() goes
// on from.  `notes` grows by what is left out or means something else in Keras.  Throws Error(kConfig) naming the layer
// that Keras has not.
KerasFile to_keras(const Network& network, const ExportOptions& options, KerasFormat format,
                   std::vector<std::string>& notes);

// ---- ONNX (onnx_import.cpp, onnx_export.cpp)

// `path` is for messages and for ForeignModel::path.  Throws Error(kBadData, kConfig) naming node and operator.
ForeignModel from_onnx(OnnxModel model, const std::string& path);
ForeignModel read_onnx_model(const std::string& path);

// Input "image" f32 [N,C,H,W], as the first layer wants it; output "logits" or "probabilities" [N,classes].  Weights
// are those of PyTorch.  metadata_props: convoy.preprocessing and convoy.classes, as JSON.  Opset 13, or later where a
// layer needs it.  Throws Error(kConfig) naming the layer that ONNX has not.
OnnxModel to_onnx(const Network& network, const ExportOptions& options);
// Throws Error(kCannotCreate, kIo), too.
void write_onnx_model(const std::string& path, const Network& network, const ExportOptions& options);

}  // namespace convoy
