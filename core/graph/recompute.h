// Which parts of a network to compute twice so that less of it is alive at once (Chen et al. 2016, arXiv:1604.06174).
#pragma once

#include <cstdint>
#include <vector>

#include "core/graph/graph.h"

namespace convoy {

// Nodes [begin, end) of a graph.
struct NodeRange {
  int begin = 0, end = 0;
  friend bool operator==(const NodeRange&, const NodeRange&) = default;
};

// Cuts the nodes in front of the first loss where only one value is alive, into ranges whose outputs take at least
// `bytes` (as f32), but for the last.  So a residual block is in one range, and no value is read in two of them: then
// gradients that meet are added in the same order as without recomputing.
std::vector<NodeRange> cut_where_one_value_lives(const Graph& graph, int64_t bytes);

// Of these ranges for any `bytes`, those that leave least alive: what lies between them, and the largest of them.
// The last one is left out, with which backward begins, and those of one node, whose output is kept in any case.
std::vector<NodeRange> recompute_for_least_memory(const Graph& graph);

}  // namespace convoy
