// From the model's YAML to a graph.  Adding a layer type is one line in the table of model_builder.cpp.
#pragma once

#include "core/graph/graph.h"
#include "launcher/config/experiment.h"

namespace convoy {

struct Model {
  Graph graph;  // inputs "image" u8 [rows,H,W,C] and "target" i32 [rows,1,1,3]
  ValueId logits;
};

// normalize → the layers of the file → softmax_cross_entropy, with the rewrite rules applied.
// Layers without a `name` key are called by type and number: conv2d_1, batch_norm_1, ….
// `sample` is one image (n = 1).  Throws Error(kConfig) with file, line and path.
Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, int rows);

}  // namespace convoy
