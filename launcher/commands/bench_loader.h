// `convoy bench loader`: what the data of an experiment deliver, without training.
#pragma once

#include "dist/communicator.h"
#include "launcher/command_line.h"
#include "launcher/datasets.h"

namespace convoy {

// Collective.  All ranks read at once, as in training: with one loader thread each, with two, four …, and with all
// `threads` of a rank.  Rank 0 prints what it found.
void bench_loader(const CommandLine& line, const Experiment& experiment, Communicator& host, Device& device,
                  const Datasets& data, int threads);

}  // namespace convoy
