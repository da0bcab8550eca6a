#include "launcher/commands/commands.h"
#include "launcher/network_flags.h"
#include "launcher/training_run.h"

namespace convoy {

int train_command(const CommandLine& line, MpiSession& session) {
  const Start started = start(session, line);
  Signals signals;
  TrainingRun run({version_text(), line.fresh, line.gpustat, started.threads, started.binding, hdf5_options(line)},
                  started.experiment, *started.communicator, signals);
  return static_cast<int>(run.run());
}

}  // namespace convoy
