// The verbs of `convoy`.  Each prints to standard output and returns an exit code, or throws Error.
#pragma once

#include "dist/communicator.h"
#include "launcher/command_line.h"

namespace convoy {

int train_command(const CommandLine& line, Communicator& communicator);
int eval_command(const CommandLine& line, Communicator& communicator);
int bench_command(const CommandLine& line, Communicator& communicator);
int inspect_command(const CommandLine& line);
int config_command(const CommandLine& line);

// "convoy 0.1.0 (oneDNN 2.6.3, Open MPI 4.1.4, …)": versions that can change results; ranks compare them.
std::string version_text();

}  // namespace convoy
