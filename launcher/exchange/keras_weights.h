// Which weight of a Keras file is which parameter.
//
// The same kernel has been called conv2d_1_W, conv2d_1/kernel:0, conv2d_1_1/kernel:0 (in a group conv2d_1),
// sequential/conv2d/kernel and layers/conv2d/vars/0.  A nested model is one layer of the old formats, with all of its
// weights: first what is trained, then the rest.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/io/keras_file.h"
#include "launcher/exchange/keras_graph.h"
#include "launcher/exchange/network.h"

namespace convoy {

// A weight that the configuration promises.
struct KerasSlot {
  int node = 0;            // of KerasGraph::nodes
  std::string role;        // for Keras 3: "kernel", "depthwise_kernel", "moving_mean", …
  std::string name;        // for Convoy: "conv1.weight"; "" for what is no parameter of ours (Normalization)
  bool trainable = false;  // by Keras' optimizer
};

// In the order of the nodes, of one layer in the order in which Keras makes them.  Throws Error(kConfig) for a layer
// with weights that is called twice, Error(kBadData) for a configuration that is none.
std::vector<KerasSlot> keras_slots(const KerasGraph& graph, const std::string& where);

struct KerasWeights {
  std::vector<ForeignTensor>
      tensors;  // in the order of the slots; behind them what belongs to no slot, by its own name
  std::map<std::pair<int, std::string>, const HostTensor*> by_role;  // node, role; in the KerasFile
};
// Throws Error(kBadData) naming layer and weight where their number or their roles disagree.
KerasWeights match_keras_weights(const KerasFile& file, const KerasGraph& graph, const std::vector<KerasSlot>& slots);

// Without a configuration: "<layer>.weight", ".bias", ".running_mean", … by what the names or classes say.
std::vector<ForeignTensor> name_keras_weights(const KerasFile& file);

}  // namespace convoy
