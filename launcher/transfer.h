// Transfer learning: the front of one network under the head of another.
#pragma once

#include "core/graph/graph.h"
#include "launcher/config/experiment.h"

namespace convoy {

// The nodes of `graph` from index `first` on are the base, all of it: cuts it off behind base.until, freezes what is to
// be frozen, and returns the value that the head reads.  Throws Error(kConfig) for a layer that the base has not.
ValueId apply_base(Graph& graph, size_t first, const BaseConfig& base);

}  // namespace convoy
