#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "core/train/checkpoint.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/exchange/tensor_files.h"
#include "launcher/initial_weights.h"
#include "launcher/network_flags.h"
#include "launcher/prediction_text.h"
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

// Throws Error(kUsage) where a table of `classes` would be too large.
std::optional<Confusion> empty_confusion(const CommandLine& line, int classes) {
  if (!line.flags.contains("confusion")) return std::nullopt;
  if (classes > Confusion::kMostClasses) {
    throw Error(ExitCode::kUsage, "--confusion: expected at most " + std::to_string(Confusion::kMostClasses) +
                                      " classes, found " + std::to_string(classes));
  }
  return Confusion(classes);
}

// Names of classes may come from files, and are not UTF-8 then.
std::string to_json(const std::string& path, const Evaluation& result, const Confusion* confusion,
                    const std::vector<std::string>& names, bool averaged) {
  nlohmann::ordered_json json{{"checkpoint", path}, {"loss", result.loss}, {"correct", result.correct}};
  if (result.correct_top5) json["correct_top5"] = *result.correct_top5;
  json["images"] = result.images;
  if (averaged) json["weights"] = "ema";
  for (int of = 0; confusion != nullptr && of < confusion->classes(); ++of) {
    json["classes"].push_back(
        {{"name", class_name(names, of)}, {"images", confusion->images(of)}, {"correct", confusion->correct(of)}});
    std::vector<int64_t> row;
    for (int as = 0; as < confusion->classes(); ++as) row.push_back(confusion->images(of, as));
    json["confusion"].push_back(row);
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

int eval_command(const CommandLine& line, MpiSession& session) {
  Start started = start(session, line);
  started.experiment.loss.teacher.reset();  // evaluation is without it
  const Experiment& experiment = started.experiment;
  Communicator& communicator = *started.communicator;
  Backend backend = make_backend(experiment, communicator, started.threads);
  BadSamples bad_samples(Log(LogLevel::kInfo, communicator.size() > 1 ? communicator.rank() : -1), communicator.rank());
  Datasets data;
  std::unique_ptr<Replica> replica;
  const bool averaged = line.flags.contains("ema");
  std::optional<Confusion> confusion;
  std::string path;
  run_on_all_ranks(communicator, [&] {
    data = open_datasets(experiment.data, experiment.experiment.seed, bad_samples);
    if (data.test == nullptr) throw Error(ExitCode::kConfig, "data.test: expected files to evaluate on, found none");
  });
  run_on_all_ranks(communicator, [&] {
    agree_on_run(communicator, version_text(), started.threads, backend, data, experiment.data.sharding);
  });
  run_on_all_ranks(communicator, [&] {
    confusion = empty_confusion(line, experiment.model.classes);
    const StageSettings last{.batch = resolve(experiment.batch, 1), .sample = data.test->sample()};
    Model model = build_model(experiment, last.sample, last.batch.micro);
    ReplicaOptions options = replica_options(experiment, {last}, model.graph, backend, 0, 1);
    options.keeps_logits = confusion.has_value();
    replica = std::make_unique<Replica>(std::move(model), backend, options);
  });
  Snapshot snapshot(*replica, nullptr, backend);
  snapshot.take();
  run_on_all_ranks(communicator, [&] {
    if (communicator.rank() != 0) return;
    if (const std::string file = weights_file(line, experiment); !file.empty()) {
      load_weights(file, weight_places(replica->graph()), snapshot, hdf5_options(line), averaged);
      path = file;
    } else {
      const Checkpoint checkpoint = chosen_checkpoint(line, experiment);
      snapshot.restore_model(checkpoint);
      if (averaged) snapshot.set_model(require_averages(checkpoint));
      path = checkpoint.path;
    }
  });
  snapshot.put();
  replica->values_changed();

  const Evaluation result =
      evaluate(*replica, {data.test.get(), nullptr}, communicator, *backend.device,
               {experiment.data.workers, started.threads, experiment.data.prefetch}, confusion ? &*confusion : nullptr);
  if (communicator.rank() != 0) return 0;
  if (line.json) {
    std::puts(to_json(path, result, confusion ? &*confusion : nullptr, data.class_names, averaged).c_str());
  } else {
    std::printf("%s%s: %s\n", path.c_str(), averaged ? ", averaged weights" : "", to_text(result).c_str());
    if (confusion) std::fputs(confusion->csv(data.class_names).c_str(), stdout);
  }
  return 0;
}

}  // namespace convoy
