// Batch normalisation with running statistics is a scale and a shift by channel, which a layer before it takes over:
//
//   y = scale · (conv(x, weight) + bias) + shift,   scale = bn.weight / sqrt(running_variance + epsilon)
//     = conv(x, scale · weight) + scale · (bias - running_mean) + bn.bias
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "launcher/exchange/network.h"

namespace convoy {

// Takes every batch_norm out of the graph that alone reads a conv2d or a linear layer, and returns how many these were.
// The layer before has a bias afterwards; `weights` by name change with it.  `keep` stays a value of the graph.
// For inference and export only: what is left can no longer be trained as before.
int fold_batch_norm(Graph& graph, std::map<std::string, std::vector<float>>& weights, ValueId keep);
// Likewise of graph and weights of a network; its `config` still describes the network as it was.
int fold_batch_norm(Network& network);

}  // namespace convoy
