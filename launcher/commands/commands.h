// The verbs of `convoy`.  Each prints to standard output and returns an exit code, or throws Error.
#pragma once

#include <string>

#include "dist/mpi.h"
#include "launcher/command_line.h"
#include "launcher/config/experiment.h"

namespace convoy {

// These run on every rank.  They read the configuration, then make the communicator that it asks for; what may fail on
// the way runs in run_on_all_ranks() (launcher/collective_errors.h).
int train_command(const CommandLine& line, MpiSession& session);
int eval_command(const CommandLine& line, MpiSession& session);
int bench_command(const CommandLine& line, MpiSession& session);
int predict_command(const CommandLine& line, MpiSession& session);

// These run in one process.
int inspect_command(const CommandLine& line);
int inspect_models(const CommandLine& line);  // of which inspect_command makes use
int config_command(const CommandLine& line);
int data_command(const CommandLine& line);
int convert_command(const CommandLine& line);
// A PNG of the first training samples of the first epoch, with their labels.
int show_samples(const Experiment& experiment, int samples, const std::string& path);

// "convoy 0.1.0 (revision, g++ 12.2.0, oneDNN 2.6.3, Open MPI v4.1.4, avx512 loops)": what can change results on the
// CPU; ranks compare it.
std::string version_text();
// Prints that, and what there is of CUDA or why there is none.
int version_command();

}  // namespace convoy
