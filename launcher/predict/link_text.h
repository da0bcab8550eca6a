// Links by name, by numbers, or as they were measured.
#pragma once

#include <optional>
#include <string>

#include "launcher/predict/collective_cost.h"

namespace convoy {

// What --link says:
//
//   NAME                      dgx-h100, dgx-a100
//   PART                      what joins all ranks
//   INSIDE+ACROSS             what joins the ranks of a node, and nodes
//   INSIDE+NxACROSS           with N adapters in a node
//
// PART, INSIDE and ACROSS: the name of a part (nvlink4, nvlink3, pcie4, pcie5; ndr, hdr, 25gbe, …),
// MICROSECONDS,GB_PER_S of a hop, or a file that `bench all-reduce --json` wrote.  `node`: ranks of a node.
// Throws Error(kUsage), and for a file kNoInput and kBadData.
Link parse_link(const std::string& text, std::optional<int> node);

// Latency and bandwidth of a hop from the times of sums over `ranks` of so many bytes, as if by a ring, t = 2(p-1)
// latency + 2(p-1)/p bytes / bandwidth: the line through the smallest sum whose errors in seconds are least, so that
// large sums count, which do not fit into a cache.
struct Hop {
  double latency = 0, bandwidth = 0;
};
Hop fit_hop(const std::vector<std::pair<double, double>>& bytes_and_seconds, int ranks);

}  // namespace convoy
