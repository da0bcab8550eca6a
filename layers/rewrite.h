// Rewrite rules: graph to graph, the same function of the same parameters in fewer passes over memory.
//
// Each rule applies wherever it fits, returns how often it did, and changes neither names nor order of parameters.
// A layer whose output has other readers, or is `keep`, is left alone; so is one that would have to run behind another
// layer with parameters, because their order is the order of the gradient buckets.
#pragma once

#include "core/graph/graph.h"

namespace convoy {

int fuse_conv_relu(Graph& graph, ValueId keep = {});
int fuse_linear_relu(Graph& graph, ValueId keep = {});
int fuse_batch_norm_add_relu(Graph& graph, ValueId keep = {});  // relu(batch_norm(x) + shortcut)
int fuse_batch_norm_relu(Graph& graph, ValueId keep = {});

// All rules, in the order above.
void rewrite(Graph& graph, ValueId keep = {});

// ---- Of graphs that are not trained: parameters may change places.

int fuse_conv_add(Graph& graph, ValueId keep = {});  // conv2d(x) + shortcut
// These and all of rewrite().
void rewrite_for_inference(Graph& graph, ValueId keep = {});

}  // namespace convoy
