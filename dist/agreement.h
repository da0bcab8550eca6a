// Start-up agreement: ranks that would not train the same model stop before the first step.
#pragma once

#include <string>
#include <vector>

#include "dist/communicator.h"

namespace convoy {

// Something that must be the same on every rank: {"config", the resolved YAML}, {"onednn", "2.6.3"}, …
// The value may be long; it travels only when ranks differ.
struct Fact {
  std::string name, value;
};

// Collective.  Throws Error(kRanksDisagree) on every rank, with the same message, when the facts are not the same
// everywhere: it names the ranks that differ from the largest group of equal ranks (of equal groups, the one with the
// lowest rank), and for each of their facts the first line that differs, with both values:
//   rank 1 differs from the other ranks: config, line 12: 'learning_rate: 0.2' instead of 'learning_rate: 0.1'
void agree(RankGroup& group, const std::vector<Fact>& facts);

}  // namespace convoy
