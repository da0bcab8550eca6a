// convoy inspect EXPERIMENT.yaml: what an experiment comes to before it runs: layers, the steps of a training pass,
// memory, buckets.
#include <cstdarg>
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "launcher/commands/commands.h"
#include "launcher/config/parts.h"
#include "launcher/datasets.h"
#include "launcher/layer_rows.h"
#include "launcher/memory_needs.h"
#include "launcher/network_flags.h"
#include "launcher/setup.h"

namespace convoy {
namespace {

using nlohmann::ordered_json;

struct Inspection {
  Inspection(const Experiment& e, const Hdf5Options& hdf5)
      : backend(make_backend(e, *host, 1)),
        batch(resolve(e.batch, 1)),
        model(build_model(e, sample_shape(e.data), batch.micro)),
        options(fitting_options(e, hdf5)),
        blueprint(e, model, backend, options),
        plan(blueprint.training().plan()),
        buckets(cut_buckets(plan, blueprint.parameters(), options.buckets)),
        needs(blueprint.needs()) {}

  ReplicaOptions fitting_options(const Experiment& experiment, const Hdf5Options& hdf5) {
    ReplicaOptions fitting = replica_options(experiment, stage_settings(experiment, sample_shape(experiment.data), 1),
                                             model.graph, backend, 0, 1, hdf5);
    fit_into_memory(experiment, model, backend, fitting);
    return fitting;
  }

  const Shape& images() const { return blueprint.trained().inputs().front().type.shape; }

  std::unique_ptr<Communicator> host = make_solo_communicator();
  Backend backend;
  ResolvedBatch batch;
  Model model;
  ReplicaOptions options;
  Blueprint blueprint;
  Plan plan;
  std::vector<GradientBucket> buckets;
  MemoryNeeds needs;  // of a rank that runs every micro-batch itself
};

int64_t bytes_of(const GradientBucket& bucket) { return (bucket.end - bucket.begin) * size_of(Dtype::kF32); }

// ---- For people

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

[[gnu::format(printf, 1, 2)]] void print(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
}

void print_memory(const char* name, const MemoryPlan& plan) {
  print("  %-12s %10.2f MiB; %.2f without reuse, %.2f alive at the peak\n", name, mib(plan.arena_bytes),
        mib(plan.total_bytes), mib(plan.live_peak_bytes));
}

void print_text(const Experiment& experiment, const Inspection& it) {
  print("%s: micro-batches of %d images, %d in a global batch of %d; %s on %s, %s\n\n", experiment.model.name.c_str(),
        it.batch.micro, it.batch.micro_batches, it.batch.global, to_string(it.backend.precision),
        it.backend.device->name().c_str(), it.backend.libraries.c_str());
  if (!experiment.train.stages.empty()) {
    print(
        "Of train.stages and what comes behind them, this is the training that needs most memory: on images of %s\n\n",
        to_string(it.images()).c_str());
  }
  print("%s\nSteps of a training pass\n%s", table(layer_rows(it.blueprint.trained())).c_str(), it.plan.table().c_str());
  print("\nMemory of activations, planned\n");
  print_memory("training", it.blueprint.training().memory());
  print_memory("evaluation", it.blueprint.evaluation().memory());
  const MemoryNeeds& flat = it.needs;
  print("\nMemory of parameters\n");
  print("  values %.2f MiB, gradients %.2f, accumulated %.2f, optimizer %.2f", mib(flat.parameters),
        mib(flat.gradients), mib(flat.accumulated), mib(flat.optimizer));
  if (experiment.optimizer.sharded) print(" over all ranks");
  if (flat.scratch > 0) print(", its scratch %.2f", mib(flat.scratch));
  if (flat.average > 0) print(", average %.2f", mib(flat.average));
  if (flat.teacher > 0) print(", all of the teacher %.2f", mib(flat.teacher));
  print("\n  with the activations %.2f MiB\n", mib(flat.total()));
  print("\nBuckets in which several ranks would sum gradients\n");
  for (size_t i = 0; i < it.buckets.size(); ++i) {
    const size_t step = it.buckets[i].ready_after;
    print("  %zu: %.2f MiB, ready after step %zu, %s\n", i, mib(bytes_of(it.buckets[i])), step,
          it.plan.steps()[step].name.c_str());
  }
}

// ---- For programs

ordered_json to_json(const MemoryPlan& plan) {
  return {{"arena_bytes", plan.arena_bytes},
          {"without_reuse_bytes", plan.total_bytes},
          {"live_peak_bytes", plan.live_peak_bytes}};
}

ordered_json to_json(const Experiment& experiment, const Inspection& it) {
  ordered_json layers = ordered_json::array(), steps = ordered_json::array(), buckets = ordered_json::array();
  for (const auto& [name, type, output, parameters, multiply_adds] : layer_rows(it.blueprint.trained())) {
    layers.push_back({{"name", name},
                      {"type", type},
                      {"output", {output.n, output.h, output.w, output.c}},
                      {"parameters", parameters},
                      {"multiply_adds", multiply_adds}});
  }
  for (const Step& step : it.plan.steps()) {
    steps.push_back({{"name", step.name}, {"detail", step.detail}, {"flops", step.flops}, {"bytes", step.bytes}});
  }
  for (const GradientBucket& bucket : it.buckets) {
    buckets.push_back({{"bytes", bytes_of(bucket)}, {"ready_after", bucket.ready_after}});
  }
  const MemoryNeeds& flat = it.needs;
  return {{"model", experiment.model.name},
          {"device", it.backend.device->name()},
          {"libraries", it.backend.libraries},
          {"precision", to_string(it.backend.precision)},
          {"batch", {{"global", it.batch.global}, {"micro", it.batch.micro}}},
          {"images", {it.images().n, it.images().h, it.images().w, it.images().c}},
          {"parameters", it.blueprint.parameters().parameter_count()},
          {"layers", std::move(layers)},
          {"steps", std::move(steps)},
          {"buckets", std::move(buckets)},
          {"memory",
           {{"training", to_json(it.blueprint.training().memory())},
            {"evaluation", to_json(it.blueprint.evaluation().memory())},
            {"parameter_bytes", flat.parameters},
            {"gradient_bytes", flat.gradients},
            {"accumulated_bytes", flat.accumulated},
            {"optimizer_bytes", flat.optimizer},
            {"optimizer_scratch_bytes", flat.scratch},
            {"average_bytes", flat.average},
            {"teacher_bytes", flat.teacher},
            {"total_bytes", flat.total()}}}};
}

}  // namespace

int inspect_command(const CommandLine& line) {
  const std::string& file = require_word(line, 0, "an experiment or model file");
  if (line.words.size() > 1 || names_foreign_model(file) || is_model_file(file)) return inspect_models(line);
  const Experiment experiment = load_experiment(file, with_shape(line), hdf5_options(line));
  const Inspection inspection(experiment, hdf5_options(line));
  if (line.json) {
    std::cout << to_json(experiment, inspection).dump(2) << "\n";
  } else {
    print_text(experiment, inspection);
  }
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace convoy
