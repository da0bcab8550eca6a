#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/training_run.h"

namespace convoy {

int train_command(const CommandLine& line, MpiSession& session) {
  Experiment experiment;
  std::unique_ptr<Communicator> communicator;
  run_on_all_ranks(session,
                   [&] { experiment = load_experiment(require_word(line, 0, "an experiment file"), line.overrides); });
  run_on_all_ranks(session,
                   [&] { communicator = make_mpi_communicator(session, mpi_options(experiment.distributed)); });
  Signals signals;
  TrainingRun run({version_text(session), line.fresh, line.gpustat}, experiment, *communicator, signals);
  return static_cast<int>(run.run());
}

}  // namespace convoy
