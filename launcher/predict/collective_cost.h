// How long ranks take to sum a buffer, by the algorithm: what NCCL's own model (src/graph/tuning.cc) and
// docs/benchmarks.md say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dist/collective_queue.h"

namespace convoy {

using Exchange = Collective::Kind;  // no broadcast: a step has none
enum class Algorithm : uint8_t { kRing, kTree, kNvls, kHierarchical };

const char* to_string(Algorithm algorithm);

// A way to send: one that costs less latency has less of the bandwidth (LL, LL128 and Simple of NCCL).
struct Protocol {
  double base = 0;                // seconds of a collective
  double inside = 0, across = 0;  // seconds of a hop, in a node and between nodes
  double efficiency = 1;          // of the bandwidth
};

// What an exchange, and what computes while it is under way, do to each other.
struct Contention {
  double share = 0;    // of what computes, that the exchange takes; in [0, 1]: with 1 compute stands still
  double stretch = 1;  // the exchange takes so many times as long; at least 1
};

// What lies between ranks: nodes of `node` ranks.  Bandwidths are bytes per second in one direction.
struct Link {
  std::string name;
  int node = 1;
  double inside = 0;  // that a rank sends in its node
  double across = 0;  // that a node sends to others; 0: there is one node only
  std::vector<Protocol> ring = {}, tree = {};
  double nvls = 0;                        // of a rank to a switch that adds; 0: there is none
  double nvls_base = 0, nvls_across = 0;  // seconds: of a sum, of a hop between nodes
  Contention contention = {};
};

struct CollectiveCost {
  Algorithm algorithm = Algorithm::kRing;
  double latency = 0, transfer = 0;  // seconds: those that do not grow with the bytes, and those that do
  double seconds() const { return latency + transfer; }
};

// By its fastest protocol; nothing where that algorithm cannot do it there.  `bytes`: of the whole buffer.
std::optional<CollectiveCost> cost_by(Algorithm algorithm, Exchange exchange, int64_t bytes, int ranks,
                                      const Link& link);

// Of the cheapest algorithm that NCCL has (hierarchical is not one of them); with `only` of that one, and of a ring
// where that cannot do it.  One rank: nothing.
CollectiveCost cost_of(Exchange exchange, int64_t bytes, int ranks, const Link& link,
                       std::optional<Algorithm> only = {});

// The bytes that a rank must send whatever the algorithm is: busbw of nccl-tests is these by time.
double bus_bytes(Exchange exchange, int64_t bytes, int ranks);

}  // namespace convoy
