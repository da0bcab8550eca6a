// The model_config of a Keras file as a flat list of layer calls.
//
// Read are the lists of Keras 1, 2 and 3: Sequential, and Functional through inbound_nodes.  Nested models are
// dissolved: their layers appear under "<model>.<layer>".  What a layer means is not known here, but for InputLayer.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace convoy {

// One call of one layer.
struct KerasNode {
  std::string class_name;  // of Keras 2 and 3: "Conv2D"
  std::string name;        // for Convoy: unique, with the names of nested models before it: "vgg16.block1_conv1"
  std::string own_name;    // for Keras: "block1_conv1"
  std::string top;         // the layer of the outermost model that it is, or is in: the group of a legacy file
  std::string path;        // in a .weights.h5, by classes: "functional/conv2d_1"
  const nlohmann::json* config = nullptr;  // with the keys of Keras 2 and 3; in KerasGraph::document
  std::vector<int> inputs;                 // calls whose outputs it reads; kImage
  bool trainable = true;                   // false: it or a model around it is frozen
  bool inference = false;                  // called with training=False, it or a model around it

  static constexpr int kImage = -1;
};

struct KerasGraph {
  nlohmann::json document;
  std::string name;
  std::vector<KerasNode> nodes;  // each behind what it reads, else in the order of the file
  int output = KerasNode::kImage;
  nlohmann::json input_shape;  // [null, 32, 32, 3]; null where the file does not say it
  int generation = 3;          // of Keras
};

// `where` is the file, for messages; `keras_version` may be "" (Keras 1).  Throws Error(kBadData) naming file and layer
// for what is no such configuration, Error(kConfig) for models that have not one input and one output.
KerasGraph read_keras_graph(const std::string& model_config, const std::string& keras_version,
                            const std::string& where);

// "MaxPooling2D" → "max_pooling2d", as Keras 3 names the groups of a .weights.h5.
std::string keras_snake_case(const std::string& class_name);

}  // namespace convoy
