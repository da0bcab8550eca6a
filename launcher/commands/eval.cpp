#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "core/train/checkpoint.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/exchange/tensor_files.h"
#include "launcher/initial_weights.h"
#include "launcher/network_flags.h"
#include "launcher/setup.h"

namespace convoy {
namespace {

// The file whose weights are evaluated, where they are not those of a checkpoint: --checkpoint=m.h5, or without an
// experiment the model file itself.  "": a checkpoint's are.
std::string weights_file(const CommandLine& line, const Experiment& experiment) {
  if (!line.checkpoint.empty()) return std::filesystem::is_directory(line.checkpoint) ? "" : line.checkpoint;
  return line.words.empty() ? experiment.model.weights.value_or("") : "";
}

// On rank 0 only.
Checkpoint chosen_checkpoint(const CommandLine& line, const Experiment& experiment) {
  if (!line.checkpoint.empty()) return load_checkpoint(line.checkpoint);
  const std::string root = RunDirectory::checkpoints_of(experiment.experiment.output_dir, experiment.experiment.name);
  const Log log(LogLevel::kInfo);
  std::optional<Checkpoint> newest = find_newest_valid(root, [&](const std::string& text) { log.warning(text); });
  if (!newest) throw Error(ExitCode::kNoInput, root + ": expected a checkpoint, found none; train first");
  return std::move(*newest);
}

}  // namespace

int eval_command(const CommandLine& line, MpiSession& session) {
  const Start started = start(session, line);
  const Experiment& experiment = started.experiment;
  Communicator& communicator = *started.communicator;
  Backend backend = make_backend(experiment, communicator, started.threads);
  BadSamples bad_samples(Log(LogLevel::kInfo, communicator.size() > 1 ? communicator.rank() : -1), communicator.rank());
  Datasets data;
  std::unique_ptr<Replica> replica;
  const bool averaged = line.flags.contains("ema");
  std::string path;
  run_on_all_ranks(communicator, [&] {
    data = open_datasets(experiment.data, experiment.experiment.seed, bad_samples);
    if (data.test == nullptr) throw Error(ExitCode::kConfig, "data.test: expected files to evaluate on, found none");
  });
  run_on_all_ranks(communicator, [&] {
    agree_on_run(communicator, version_text(), started.threads, backend, data, experiment.data.sharding);
  });
  run_on_all_ranks(communicator, [&] {
    const ResolvedBatch batch = resolve(experiment.batch, 1);
    replica =
        std::make_unique<Replica>(build_model(experiment.model, experiment.data, data.test->sample(), batch.micro),
                                  backend, replica_options(experiment, batch, 0, 1));
  });
  run_on_all_ranks(communicator, [&] {
    if (communicator.rank() != 0) return;
    Snapshot snapshot(replica->parameters(), nullptr, *backend.device);
    snapshot.take();
    if (const std::string file = weights_file(line, experiment); !file.empty()) {
      load_weights(file, weight_places(replica->graph()), snapshot, hdf5_options(line), averaged);
      path = file;
    } else {
      const Checkpoint checkpoint = chosen_checkpoint(line, experiment);
      snapshot.restore_model(checkpoint);
      if (averaged) snapshot.set_model(require_averages(checkpoint));
      path = checkpoint.path;
    }
    snapshot.put();
  });
  broadcast_state(replica->parameters(), nullptr, *backend.communicator);
  replica->values_changed();

  const Evaluation result = evaluate(*replica, {data.test.get(), nullptr}, communicator, *backend.device,
                                     {experiment.data.workers, started.threads, experiment.data.prefetch});
  if (communicator.rank() != 0) return 0;
  if (line.json) {
    nlohmann::ordered_json json{
        {"checkpoint", path}, {"loss", result.loss}, {"correct", result.correct}, {"images", result.images}};
    if (averaged) json["weights"] = "ema";
    std::printf("%s\n", json.dump().c_str());
  } else {
    if (averaged) path += ", averaged weights";
    std::printf("%s: loss %.4f, top-1 %.2f%% (%lld of %lld)\n", path.c_str(), result.loss, 100 * result.accuracy(),
                static_cast<long long>(result.correct), static_cast<long long>(result.images));
  }
  return 0;
}

}  // namespace convoy
