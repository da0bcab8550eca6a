// `convoy bench predict`: what a step takes on more ranks than are here.
#pragma once

#include "dist/mpi.h"
#include "launcher/command_line.h"

namespace convoy {

// On one rank.  Prints the tables, or JSON; with --out also writes predict.svg.
int bench_predict(const CommandLine& line, MpiSession& session);

}  // namespace convoy
