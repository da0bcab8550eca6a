// `convoy bench all-reduce`: how long sums over all ranks take, and whether they are right.
#pragma once

#include "dist/communicator.h"
#include "launcher/backend.h"
#include "launcher/command_line.h"

namespace convoy {

// Collective.  Rank 0 prints.  Throws CollectiveError(kInternal) where a sum is wrong.
void bench_all_reduce(const CommandLine& line, const Experiment& experiment, Communicator& host, Backend& backend);

}  // namespace convoy
