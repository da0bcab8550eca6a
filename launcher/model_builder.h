// From the model's YAML to a graph.  layer_builder.h appends the layers.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "launcher/config/experiment.h"

namespace convoy {

struct Model {
  // Inputs: "image" u8 [rows,H,W,C], "target" i32 [rows,1,1,3], perhaps "class_weights" f32 [1,1,1,K] or "teacher" f32
  // [rows,1,1,K], what that network says.
  Graph graph;
  ValueId logits;
  std::vector<float> class_weights = {};   // values of that input, where there is one
  std::set<std::string> base_layers = {};  // names of the nodes that come from model.base
};

struct BuildOptions {
  int rows = 1;
  bool training = true;  // the loss follows the logits
  LossConfig loss = {};
  bool normalize = true;  // pixels come in; else "image" is f32, as the first layer of the file wants it
  bool rewrite = true;    // the rewrite rules are applied; parameters are called the same without
};

// normalize → the base → the layers of the file → its top → the loss.
// `sample` is one image (n = 1).  Throws Error(kConfig) with file, line and path.
Model build_model(const ModelConfig& model, const DataConfig& data, const Shape& sample, const BuildOptions& options);
// What an experiment trains.
inline Model build_model(const Experiment& experiment, const Shape& sample, int rows) {
  return build_model(experiment.model, experiment.data, sample, {.rows = rows, .loss = experiment.loss});
}

}  // namespace convoy
