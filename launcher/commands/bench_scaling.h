// `convoy bench scaling`: throughput by the number of ranks, out of one job.
#pragma once

#include "launcher/command_line.h"
#include "launcher/setup.h"

namespace convoy {

// Collective.  The first p ranks of the job work as a job of p would, for each p that is asked for, while the others
// sleep.  Rank 0 writes the report and prints its table.  `data` are those of the experiment, `threads` of each rank.
void bench_scaling(const CommandLine& line, MpiSession& session, const Experiment& experiment, int threads,
                   const Hdf5Options& hdf5, const Datasets& data);

}  // namespace convoy
