// Which training samples a rank takes: out of one data set that all ranks see, or out of its host's own part.
#pragma once

#include <string>
#include <vector>

#include "core/data/sampler.h"
#include "launcher/config/experiment.h"

namespace convoy {

struct Feeding {
  Sampler sampler;        // over the samples that this rank can see
  int rank = 0;           // among those that share them …
  int world = 1;          // … of which there are so many
  int64_t first_row = 0;  // of the global batch: where their rows begin
};

// All ranks draw from one data set of `samples`.
Feeding feeding_from_all(int64_t samples, const ResolvedBatch& batch, uint64_t seed, int rank, int world);

// What a rank tells the others of its host's data.
struct HostPart {
  std::string host;
  int64_t samples = 0;
  std::string fingerprint;  // of a Dataset; without a line break
  friend bool operator==(const HostPart&, const HostPart&) = default;
};
std::string to_text(const HostPart& part);
HostPart parse_host_part(const std::string& text);

// Of all hosts' data together, and of which ranks draw from which.  Throws Error(kRanksDisagree) where ranks of one
// host have different data.
std::string fingerprint_of(const std::vector<HostPart>& by_rank);

// data.sharding: local.  Ranks of a host draw from its samples only, each of which is seen once an epoch at most; an
// epoch ends when the first host has no full batch left.  `by_rank` has a part for every rank.
// Throws Error(kConfig) naming a host with too few samples.
Feeding feeding_from_host(const std::vector<HostPart>& by_rank, const ResolvedBatch& batch, uint64_t seed, int rank);

}  // namespace convoy
