#include "launcher/setup.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "core/base/threads.h"
#include "dist/agreement.h"
#include "launcher/binding.h"
#include "launcher/collective_errors.h"
#include "launcher/config/parts.h"
#include "launcher/config/values.h"
#include "launcher/memory_needs.h"
#include "launcher/network_flags.h"
#include "layers/conv2d.h"
#include "layers/conv_transpose.h"

namespace convoy {
namespace {

int64_t in_steps(double epochs, int64_t steps_per_epoch) {
  return std::llround(epochs * static_cast<double>(steps_per_epoch));
}

std::string lines_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + "\n";
  return text;
}

}  // namespace

int usable_processors(RankGroup& group) {
  const std::string prefix = host_name() + " ", mine = processor_mask();
  std::vector<std::string> masks;
  for (const std::string& text : group.all_gather_bytes(prefix + mine)) {
    if (text.starts_with(prefix)) masks.push_back(text.substr(prefix.size()));
  }
  return processors_of_rank(mine, masks, processor_limit());
}

std::string host_name() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return host;
}

std::unique_ptr<Communicator> make_host_communicator(MpiSession& session, const DistributedConfig& distributed) {
  switch (distributed.transport) {
    case Transport::kAuto: return make_mpi_communicator(session);
    case Transport::kShared: return make_mpi_communicator(session, {.transport = MpiTransport::kShared});
    case Transport::kHierarchical: return make_mpi_communicator(session, {.transport = MpiTransport::kHierarchical});
    case Transport::kProgressThread:
      return make_mpi_communicator(session, {.transport = MpiTransport::kProgressThread});
  }
  return nullptr;
}

Start start(MpiSession& session, const CommandLine& line, size_t index) {
  Start result;
  run_on_all_ranks(session, [&] {
    const std::string model_file = flag(line, "model_file");
    const Hdf5Options hdf5 = hdf5_options(line);
    result.experiment = line.words.size() > index || model_file.empty()
                            ? load_experiment(require_word(line, index, "an experiment file"), line.overrides, hdf5)
                            : experiment_around(model_file, flag(line, "data"), line.overrides, hdf5);
  });
  run_on_all_ranks(session, [&] { agree(session, {{"experiment", show(result.experiment)}}); });
  result.binding = undo_default_binding(session.size(), session.local_size());  // before any thread is made
  result.threads = result.experiment.threads > 0 ? result.experiment.threads : usable_processors(session);
  run_on_all_ranks(session,
                   [&] { result.communicator = make_host_communicator(session, result.experiment.distributed); });
  return result;
}

void agree_on_run(RankGroup& group, const std::string& version, int threads, const Backend& backend,
                  const Datasets& data, Sharding sharding) {
  const bool on_cpu = backend.device->kind() == DeviceKind::kCpu;
  agree(group, {{"program", version},
                {"device", on_cpu ? "cpu" : backend.device->name()},
                {"libraries", backend.libraries},
                {"threads", on_cpu ? std::to_string(threads) : "any"},
                {"samples", to_string(data.train->sample())},
                {"classes", lines_of(data.class_names)},
                {"training data", sharding == Sharding::kShared ? data.fingerprint : "of each host"},
                {"test data", data.test != nullptr ? data.test->fingerprint() : "none"}});
}

std::vector<StageSettings> stage_settings(const Experiment& experiment, const Shape& sample, int world) {
  const std::vector<BatchConfig> batch = batches(experiment);
  std::vector<StageSettings> stages;
  int64_t epochs = 0;
  const auto add = [&](const Shape& image, int64_t length) {
    const BatchConfig& it = batch[stages.size()];
    stages.push_back({resolve(it, world), image, length, it.where, it.path});
    epochs += length;
  };
  for (const StageConfig& config : experiment.train.stages) {
    Shape image = sample;
    if (config.size) std::tie(image.h, image.w) = std::tie((*config.size)[0], (*config.size)[1]);
    add(image, config.epochs);
  }
  const bool all = experiment.train.epochs && epochs == *experiment.train.epochs;
  if (!all) add(sample, 0);
  const bool mixes = mix_options(experiment.data.mix, 0).any();
  for (const StageSettings& stage : stages) {
    const auto& [global, micro, micro_batches] = stage.batch;
    if (mixes && micro == 1) {
      config_error(experiment.data.where, "data.mix",
                   "mixes rows of a micro-batch, and " + child_path(stage.path, "micro") + " is 1");
    }
    const bool apart = experiment.distributed.average_every > 1;
    if ((experiment.train.sync_bn || apart) && micro_batches % world != 0) {
      config_error(stage.where, apart ? "distributed.average_every" : "train.sync_bn",
                   "needs as many micro-batches on every rank: " + std::to_string(micro_batches) + " (" + stage.path +
                       ": global / micro) cannot be shared by " + std::to_string(world) + " ranks");
    }
  }
  return stages;
}

namespace {

// Of all stages with these images.
Passes passes_on(const Shape& images, const std::vector<StageSettings>& stages, int rank, int world) {
  Passes passes{.least = std::numeric_limits<int>::max(), .most = 0};
  for (const StageSettings& stage : stages) {
    if (stage.images() != images) continue;
    const auto count = static_cast<int>(share_of(stage.batch.micro_batches, rank, world).count);
    passes = {std::min(passes.least, count), std::max(passes.most, count)};
  }
  return passes;
}

std::vector<std::pair<std::string, Shape>> parameters_of(const Graph& graph) {
  std::vector<std::pair<std::string, Shape>> parameters;
  for (const Graph::Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.layer->parameters(graph.input_shapes(node))) {
      parameters.emplace_back(node.name + "." + spec.name, spec.shape);
    }
  }
  return parameters;
}

}  // namespace

Model stage_model(const Experiment& experiment, const StageSettings& stage, const Graph& graph) {
  const std::string size = std::to_string(stage.sample.h) + "x" + std::to_string(stage.sample.w);
  Model model;
  try {
    model = build_model(experiment, stage.sample, stage.batch.micro);
  } catch (const Error& error) {
    config_error(experiment.train.where, "train.stages", "images of " + size + ": " + error.what());
  }
  const auto here = parameters_of(graph), there = parameters_of(model.graph);
  CHECK(here.size() == there.size());
  for (size_t i = 0; i < here.size(); ++i) {
    if (here[i] == there[i]) continue;
    config_error(experiment.train.where, "train.stages",
                 "images of " + size + ": " + there[i].first + " is " + to_string(there[i].second) +
                     ", and for images of data.shape " + to_string(here[i].second) +
                     "; average over the image before it (global_average or adaptive_average_pool)");
  }
  return model;
}

BucketPolicy bucket_policy(const Experiment& experiment, const Communicator& communicator, int world) {
  const DistributedConfig& distributed = experiment.distributed;
  const bool several = world > 1;
  BucketPolicy policy{.overlap = distributed.overlap,
                      .dtype = distributed.gradients,
                      .error_feedback = several && distributed.error_feedback,
                      .average_every = several ? distributed.average_every : 1,
                      .sharded = several && experiment.optimizer.sharded};
  if (const double mib = distributed.bucket_mib; mib > 0) {
    policy.bytes = std::max<int64_t>(1, static_cast<int64_t>(mib * (1 << 20)));
  } else {
    // Where the bits of a result depend on how it is cut, what was measured, which is never the same, must not decide.
    policy.by_time =
        several && policy.overlap && !policy.averages() && !policy.sharded && !communicator.cuts_change_bits();
  }
  return policy;
}

ReplicaOptions replica_options(const Experiment& experiment, const std::vector<StageSettings>& stages,
                               const Graph& graph, Backend& backend, int rank, int world, const Hdf5Options& hdf5) {
  const Shape own = graph.inputs().front().type.shape;
  std::optional<ForeignModel> file;
  if (experiment.loss.teacher) file = read_teacher(*experiment.loss.teacher, hdf5);
  const auto teacher = [&](const Shape& images) -> std::shared_ptr<const Teacher> {
    if (!file) return nullptr;
    return std::make_shared<Teacher>(*experiment.loss.teacher, *file, experiment.model.classes, images, backend);
  };
  ReplicaOptions options{.shapes = {},
                         .buckets = bucket_policy(experiment, *backend.communicator, world),
                         .recompute = experiment.train.recompute != Recompute::kNone,
                         .ranks = experiment.train.sync_bn ? world : 1,
                         .capture = experiment.train.cuda_graph != CudaGraph::kOff};
  std::vector<Shape> done;
  for (const StageSettings& stage : stages) {
    const Shape images = stage.images();
    if (std::ranges::find(done, images) != done.end()) continue;
    done.push_back(images);
    std::shared_ptr<const Model> model;
    if (images != own) model = std::make_shared<const Model>(stage_model(experiment, stage, graph));
    options.shapes.push_back({std::move(model), passes_on(images, stages, rank, world), teacher(images)});
  }
  return options;
}

ReplicaPlan plan_replica(const Experiment& experiment, const StageSettings& evaluated,
                         const std::vector<StageSettings>& stages, Backend& backend, const Communicator& host,
                         const Hdf5Options& hdf5) {
  Model model = build_model(experiment, evaluated.sample, evaluated.batch.micro);
  ReplicaOptions options = replica_options(experiment, stages, model.graph, backend, host.rank(), host.size(), hdf5);
  fit_into_memory(experiment, model, backend, options);
  return {std::move(model), std::move(options)};
}

void cut_buckets_by_time(BucketPolicy& policy, Communicator& communicator) {
  if (policy.by_time) cut_by(measure_sum(communicator), policy);
}

Horizon horizon(const Experiment& experiment, const std::vector<StageSettings>& stages,
                const std::vector<int64_t>& steps_per_epoch) {
  const CheckpointConfig& checkpoint = experiment.checkpoint;
  Horizon result{.evaluate_epochs = experiment.train.eval_every_epochs,
                 .save_steps = checkpoint.every_steps,
                 .save_epochs = checkpoint.every_steps > 0 ? 0 : checkpoint.every_epochs,
                 .log_steps = experiment.train.log_every_steps};
  StageSteps next;
  for (size_t i = 0; i < stages.size(); ++i) {
    next.steps_per_epoch = steps_per_epoch[i];
    next.global_batch = stages[i].batch.global;
    result.stages.push_back(next);
    next.first_epoch += stages[i].epochs;
    next.first_step += stages[i].epochs * steps_per_epoch[i];
  }
  result.steps = experiment.train.steps ? *experiment.train.steps : result.step_at(*experiment.train.epochs);
  return result;
}

namespace {

[[noreturn]] void too_short(const ScheduleConfig& config, const char* key, const Horizon& horizon) {
  config_error(
      config.where, "schedule",
      std::string(key) + " is less than half a step; an epoch has " + std::to_string(horizon.steps_per_epoch()));
}

ScheduleOptions schedule_options(const ScheduleShape& shape, double learning_rate, const Horizon& horizon) {
  const int64_t epoch = horizon.steps_per_epoch();
  const double start = shape.start.value_or(shape.type == ScheduleType::kOneCycle ? 0.04 : 1);
  ScheduleOptions options{.type = shape.type,
                          .learning_rate = static_cast<float>(learning_rate),
                          .step_steps = (shape.type == ScheduleType::kStep ? shape.step_epochs : 1) * epoch,
                          .gamma = static_cast<float>(shape.gamma),
                          .start_fraction = static_cast<float>(start),
                          .final_fraction = static_cast<float>(shape.final),
                          .power = static_cast<float>(shape.power),
                          .restart_steps = in_steps(shape.restart_epochs, epoch),
                          .restart_factor = shape.restart_factor,
                          .rise = static_cast<float>(shape.rise)};
  for (double milestone : shape.milestones) options.milestones.push_back(in_steps(milestone, epoch));
  return options;
}

}  // namespace

Schedule make_schedule(const Experiment& experiment, double learning_rate, const Horizon& horizon) {
  const ScheduleConfig& config = experiment.schedule;
  const int64_t epoch = horizon.steps_per_epoch(), warmup = in_steps(config.warmup_epochs, epoch);
  std::vector<const ScheduleShape*> shapes;
  for (const SchedulePhaseConfig& phase : config.phases) shapes.push_back(&phase);
  if (shapes.empty()) shapes.push_back(&config);
  std::vector<SchedulePhase> phases;
  int64_t steps_left = horizon.schedule_step(horizon.steps - 1) + 1;
  for (size_t i = 0; i < shapes.size(); ++i) {
    ScheduleOptions options = schedule_options(*shapes[i], learning_rate, horizon);
    if (shapes[i]->restart_epochs > 0 && options.restart_steps == 0) too_short(config, "restart_epochs", horizon);
    if (i + 1 < shapes.size() && in_steps(*config.phases[i].epochs, epoch) == 0) too_short(config, "epochs", horizon);
    if (i == 0) {
      options.warmup_steps = warmup;
      options.warmup_start = static_cast<float>(config.warmup_start);
      for (int64_t& milestone : options.milestones) milestone -= warmup;
    }
    options.total_steps =
        i + 1 == shapes.size() ? steps_left : options.warmup_steps + in_steps(*config.phases[i].epochs, epoch);
    steps_left -= options.total_steps;
    phases.push_back({make_schedule(options), options.total_steps});
  }
  Schedule schedule = in_sequence(std::move(phases));
  if (horizon.stages.size() == 1) return schedule;
  return [schedule = std::move(schedule), horizon](int64_t step) { return schedule(horizon.schedule_step(step)); };
}

Watchers make_watchers(const Experiment& experiment, double learning_rate, const Horizon& horizon, bool test_data) {
  const auto& plateau = experiment.schedule.plateau;
  const auto& early_stopping = experiment.train.early_stopping;
  const auto require_test_data = [&](const Mark& where, const char* path) {
    if (!test_data) config_error(where, path, "follows from evaluations, and there are no test data");
  };
  Watchers watchers{.learning_rate = learning_rate, .warmup_steps = horizon.step_at(experiment.schedule.warmup_epochs)};
  if (plateau) {
    require_test_data(plateau->where, "schedule.plateau");
    watchers.plateau.emplace(*plateau, learning_rate);
  }
  if (early_stopping) {
    require_test_data(early_stopping->where, "train.early_stopping");
    watchers.early_stopping.emplace(*early_stopping);
  }
  if (experiment.checkpoint.best) require_test_data(experiment.checkpoint.where, "checkpoint.best");
  return watchers;
}

void require_matches(const OptimizerConfig& config, const std::vector<std::string>& names) {
  for (size_t i = 0; i < config.groups.size(); ++i) {
    const ParameterGroup& group = config.groups[i];
    const auto matches = [&](const std::string& name) { return matches_glob(group.match, name); };
    if (std::ranges::any_of(names, matches)) continue;
    config_error(group.where, child_path("optimizer.groups", i) + ".match",
                 "'" + group.match + "' matches no parameter");
  }
}

namespace {

// What is updated as a matrix, by its own norms or by products: with muon the filters of convolutions only.
IsMatrix matrices(OptimizerType type, const Graph& graph) {
  switch (type) {
    case OptimizerType::kLars:
    case OptimizerType::kLamb: return [](const ParameterSlot& slot) { return !is_vector(slot); };
    case OptimizerType::kMuon: break;
    default: return {};
  }
  std::set<std::string> filters;
  for (const Graph::Node& node : graph.nodes()) {
    const std::string of = node.layer->type();
    if (of == Conv2d::kType || of == ConvTranspose::kType) filters.insert(node.name + ".weight");
  }
  return [filters](const ParameterSlot& slot) { return !is_vector(slot) && filters.contains(slot.name); };
}

std::vector<GroupSettings> group_settings(const OptimizerConfig& config) {
  std::vector<GroupSettings> groups;
  for (const ParameterGroup& group : config.groups) {
    groups.push_back({group.match, static_cast<float>(group.learning_rate_scale), {}});
    if (group.weight_decay) groups.back().weight_decay = static_cast<float>(*group.weight_decay);
  }
  return groups;
}

std::unique_ptr<Optimizer> make_rule(const OptimizerConfig& config, Backend& backend, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, Allocator& allocator) {
  FlatOps& ops = *backend.ops;
  const auto momentum = static_cast<float>(config.momentum), epsilon = static_cast<float>(config.epsilon_used());
  const AdamOptions adam{static_cast<float>(config.beta1), static_cast<float>(config.beta2), epsilon,
                         config.steps_before, config.type == OptimizerType::kAdamw};
  const SgdOptions sgd{momentum, config.nesterov};
  switch (config.type) {
    case OptimizerType::kSgd: break;
    case OptimizerType::kAdam:
    case OptimizerType::kAdamw: return make_adam(ops, allocator, parameters, std::move(ranges), adam);
    case OptimizerType::kRmsprop:
      return make_rmsprop(ops, allocator, parameters, std::move(ranges),
                          {static_cast<float>(config.alpha), epsilon, momentum});
    case OptimizerType::kLars:
      return make_lars(ops, allocator, parameters, std::move(ranges),
                       {momentum, static_cast<float>(config.trust_coefficient), epsilon});
    case OptimizerType::kLamb: return make_lamb(ops, allocator, parameters, std::move(ranges), adam);
    case OptimizerType::kMuon:
      return make_muon(ops, *backend.products, allocator, parameters, std::move(ranges),
                       {sgd, config.newton_schulz_steps, config.renormalize});
  }
  return make_sgd(ops, allocator, parameters, std::move(ranges), sgd);
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, Backend& backend, const Graph& graph,
                                          const Parameters& parameters, Allocator& allocator) {
  std::vector<std::string> names;
  for (const ParameterSlot& slot : parameters.slots()) names.push_back(slot.name);
  require_matches(config, names);
  std::vector<UpdateRange> ranges =
      update_ranges(parameters, static_cast<float>(config.weight_decay), group_settings(config), config.decay_vectors,
                    matrices(config.type, graph));
  std::unique_ptr<Optimizer> optimizer = make_rule(config, backend, parameters, std::move(ranges), allocator);
  optimizer->clip({static_cast<float>(config.clip_norm), static_cast<float>(config.clip_value)}, allocator, parameters);
  if (backend.precision == Dtype::kF16) optimizer->scale_loss({});
  return optimizer;
}

}  // namespace convoy
