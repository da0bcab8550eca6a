// `convoy bench layers`: each distinct layer of a network, alone.
#pragma once

#include "dist/communicator.h"
#include "launcher/backend.h"
#include "launcher/command_line.h"
#include "launcher/datasets.h"

namespace convoy {

// Collective.  Runs each step of a training pass again and again where the pass has got to it, so that it works on real
// data; of steps that are alike the first.  Each rank measures beside the others, rank 0 prints what it found.
void bench_layers(const CommandLine& line, const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host,
                  Backend& backend, const Dataset& data);

}  // namespace convoy
