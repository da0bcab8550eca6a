#include "launcher/training_run.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "core/base/hash.h"
#include "core/base/threads.h"
#include "core/io/hdf5_child.h"
#include "dist/agreement.h"
#include "launcher/binding.h"
#include "launcher/collective_errors.h"
#include "launcher/exchange/open_network.h"
#include "launcher/exchange/tensor_files.h"
#include "launcher/initial_weights.h"
#include "launcher/run_header.h"

namespace convoy {
namespace {

Progress::Style progress_style(ProgressStyle wanted, int rank) {
  if (rank != 0) return Progress::Style::kNone;
  switch (wanted) {
    case ProgressStyle::kAuto: return Progress::detect_style();
    case ProgressStyle::kBar: return Progress::Style::kBar;
    case ProgressStyle::kPlain: return Progress::Style::kPlain;
    case ProgressStyle::kNone: return Progress::Style::kNone;
  }
  return Progress::Style::kNone;
}

std::vector<std::string*> paths_of(DataConfig& data) {
  std::vector<std::string*> paths = {&data.path};
  if (data.test_path) paths.push_back(&*data.test_path);
  for (std::optional<SampleFiles>* files : {&data.train, &data.test}) {
    if (*files) paths.insert(paths.end(), {&(*files)->images, &(*files)->labels});
  }
  return paths;
}

// What train.exports takes, before the training, not behind it.
void expect_writers(const TrainConfig& train) {
  const auto needs_hdf5 = [](const std::string& name) { return name.ends_with(".h5") || name.ends_with(".keras"); };
  if (std::ranges::any_of(train.exports, needs_hdf5)) find_h5_program();
}

// Where both have names that are not numbers.  In another order, a teacher would teach the wrong ones.
void require_same_classes(const TeacherConfig& teacher, const std::vector<std::string>& taught,
                          const std::vector<std::string>& learnt) {
  if (taught.empty() || are_numbers(taught) || are_numbers(learnt)) return;
  const auto [there, here] = std::ranges::mismatch(taught, learnt);
  if (there == taught.end() || here == learnt.end()) return;
  config_error(teacher.where, "loss.teacher",
               teacher.file + ": expected class " + std::to_string(here - learnt.begin()) + " to be '" + *here +
                   "', as in the data, found '" + *there + "'");
}

// Two runs with equal text compute the same: without what only decides where things go, how fast, and what is shown.
std::string settings_that_compute(Experiment experiment, double learning_rate, const Teacher* teacher) {
  const ExperimentConfig defaults;
  experiment.experiment.name = defaults.name;
  experiment.experiment.output_dir = defaults.output_dir;
  experiment.data.workers = DataConfig().workers;
  experiment.data.prefetch = DataConfig().prefetch;
  experiment.data.on_error = DataConfig().on_error;
  experiment.data.max_bad = DataConfig().max_bad;
  experiment.data.cache = DataConfig().cache;
  for (std::string* path : paths_of(experiment.data)) path->clear();  // what lies there has a fingerprint
  experiment.train.log_every_steps = TrainConfig().log_every_steps;
  experiment.train.log_every_seconds = TrainConfig().log_every_seconds;
  const CheckpointConfig saving = experiment.checkpoint;
  const bool own = experiment.distributed.error_feedback || experiment.distributed.average_every > 1;
  if (!experiment.schedule.plateau && !experiment.train.early_stopping && !own) {
    experiment.train.eval_every_epochs = TrainConfig().eval_every_epochs;
  }
  experiment.train.exports.clear();
  experiment.train.recompute = TrainConfig().recompute;
  experiment.train.memory_mib = TrainConfig().memory_mib;
  experiment.train.export_ema = TrainConfig().export_ema;
  if (teacher != nullptr) {  // as for data: what the file says
    experiment.loss.teacher = {.file = teacher->fingerprint(),
                               .weight = experiment.loss.teacher->weight,
                               .temperature = experiment.loss.teacher->temperature};
  }
  experiment.model.weights.reset();  // they are in the checkpoint now
  if (experiment.model.base) experiment.model.base->weights.reset();
  experiment.optimizer.state.reset();
  if (experiment.train.stages.empty()) experiment.optimizer.learning_rate = {learning_rate};
  experiment.checkpoint = {};
  if (own) {  // that ends wherever a run is saved
    experiment.checkpoint.every_steps = saving.every_steps;
    experiment.checkpoint.every_epochs = saving.every_epochs;
  }
  experiment.metrics = {};
  experiment.progress = ProgressStyle::kAuto;
  return show(experiment);
}

// What every manifest of this run says.
Manifest manifest_of(const Experiment& experiment, const ResolvedBatch& batch, const std::string& data_hash,
                     const Teacher* teacher, int world, const TrainingRun::Options& options, const Backend& backend) {
  Manifest manifest;
  manifest.seed = experiment.experiment.seed;
  manifest.world = world;
  manifest.global_batch = batch.global;
  manifest.micro_batch = batch.micro;
  manifest.config_hash =
      hash128_hex(settings_that_compute(experiment, experiment.optimizer.learning_rate.of(batch.global), teacher));
  manifest.data_hash = data_hash;
  manifest.facts = {{"program", options.version}, {"precision", to_string(backend.precision)}};
  if (world > 1) manifest.facts.insert({"sums", backend.communicator->order_of_sums()});
  if (backend.device->kind() == DeviceKind::kCpu) {
    manifest.facts.insert({{"threads", std::to_string(options.threads)}, {"simd", to_string(simd_level())}});
  } else {
    manifest.facts.insert({{"device", backend.device->name()}, {"libraries", backend.libraries}});
  }
  return manifest;
}

// Rank 0 only: where to go on; nothing when this is a first life.  A directory holds one history: what is in it wins.
std::optional<Checkpoint> find_checkpoint(const std::string& resume, const RunDirectory& directory, FileSystem& files,
                                          const Log& log) {
  std::optional<Checkpoint> newest =
      find_newest_valid(files, directory.checkpoints(), [&](const std::string& text) { log.warning(text); });
  if (newest && resume == "never") {
    throw Error(ExitCode::kCannotCreate, directory.path() +
                                             ": checkpoint.resume is never, but there are checkpoints: " +
                                             "use --fresh, or another experiment.name");
  }
  if (newest || resume == "auto" || resume == "never") return newest;
  return load_checkpoint(resume);
}

// With f16, and only then, a loss scale is part of the optimizer's state.
void require_same_loss_scaling(const Manifest& saved, const Manifest& now, const std::string& path) {
  const auto precision = [](const Manifest& of) {
    const auto found = of.facts.find("precision");
    return found == of.facts.end() ? std::string("unknown") : found->second;
  };
  const std::string before = precision(saved), after = precision(now);
  if ((before == "f16") == (after == "f16")) return;
  throw Error(ExitCode::kConfig,
              path + ": cannot go on from here: train.precision was " + before + ", is " + after + kOtherSettings);
}

// The same steps are other samples where stages before them have other batches.
void require_same_stages(const Manifest& saved, const Horizon& horizon, const std::string& path) {
  const int64_t epoch = horizon.epoch(saved.step), samples = horizon.samples_in_epoch(saved.step);
  if (saved.epoch == epoch && saved.samples_in_epoch == samples) return;
  const auto text = [](int64_t epochs, int64_t more) {
    return std::to_string(epochs) + " epochs and " + std::to_string(more) + " samples";
  };
  throw Error(ExitCode::kConfig, path + ": cannot go on from here: its " + std::to_string(saved.step) + " steps were " +
                                     text(saved.epoch, saved.samples_in_epoch) + ", and are " + text(epoch, samples) +
                                     " with these train.stages" + kOtherSettings);
}

std::string resume_text(const Checkpoint& checkpoint, const Manifest& now) {
  const std::string obstacle = bitwise_obstacle(checkpoint.manifest, now);
  return "going on from " + checkpoint.path + (obstacle.empty() ? ", bit for bit" : "; not bit for bit: " + obstacle);
}

std::unique_ptr<MetricsExporter> make_metrics(const Experiment& experiment, const Communicator& communicator) {
  const MetricsConfig& config = experiment.metrics;
  if (!config.enabled) return nullptr;
  return std::make_unique<MetricsExporter>(
      MetricsOptions{.host = config.host,
                     .port = config.port == 0 ? 0 : config.port + communicator.local_rank(),
                     .labels = {{"run_id", experiment.experiment.name},
                                {"rank", std::to_string(communicator.rank())},
                                {"local_rank", std::to_string(communicator.local_rank())},
                                {"node", host_name()}}});
}

}  // namespace

TrainingRun::TrainingRun(const Options& options, const Experiment& experiment, Communicator& communicator,
                         Signals& signals)
    : options_(options),
      experiment_(experiment),
      communicator_(communicator),
      signals_(signals),
      log_(LogLevel::kInfo, communicator.size() > 1 ? communicator.rank() : -1),
      bad_samples_(log_, communicator.rank()) {
  backend_ = make_backend(experiment_, communicator_, options_.threads);
  near_ = stay_near(backend_.device->pci_address());
  run_on_all_ranks(communicator_, [&] { make_data(); });
  run_on_all_ranks(communicator_, [&] {
    agree_on_run(communicator_, options_.version, options_.threads, backend_, data_, experiment_.data.sharding);
  });
  run_on_all_ranks(communicator_, [&] { share_data(); });
  run_on_all_ranks(communicator_, [&] { make_caches(); });
  plan_network();
  run_on_all_ranks(communicator_, [&] { make_network(); });
  snapshot_->take();
  run_on_all_ranks(communicator_, [&] {
    if (leads()) open_run_directory();
    if (leads() && !resume()) {
      initial_ = load_initial_weights(experiment_, replica_->model(), *snapshot_, options_.hdf5);
    }
    if (leads()) directory_->write_config(show(experiment_));
    metrics_ = make_metrics(experiment_, communicator_);
  });
  run_on_all_ranks(communicator_, [&] { open_bad_samples(); });
  first_step_ = std::stoll(communicator_.broadcast_bytes(std::to_string(first_step_), 0));
  watchers_.restore(communicator_.broadcast_bytes(watchers_.text(), 0), "rank 0");
  snapshot_->put();
  if (average_ && first_step_ == 0) average_->start(replica_->parameters(), backend_.device->compute());
  replica_->values_changed();
  announce();
}

void TrainingRun::make_data() {
  std::vector<Shape> shapes;
  for (const StageConfig& stage : experiment_.train.stages) {
    if (stage.size) shapes.push_back({1, (*stage.size)[0], (*stage.size)[1], sample_shape(experiment_.data).c});
  }
  data_ = open_datasets(experiment_.data, experiment_.experiment.seed, bad_samples_, shapes);
  while (std::ssize(data_.class_names) < experiment_.model.classes) {  // outputs that no label asks for
    data_.class_names.push_back(std::to_string(data_.class_names.size()));
  }
  settings_ = stage_settings(experiment_, data_.train->sample(), communicator_.size());
  batch_ = resolve(experiment_.batch, communicator_.size());
  if (experiment_.data.sharding == Sharding::kLocal) return;
  for (const BatchConfig& batch : batches(experiment_)) {
    require_full_batch(batch, data_.train->size(), communicator_.size());
  }
}

void TrainingRun::share_data() {
  const uint64_t seed = experiment_.experiment.seed;
  const int rank = communicator_.rank(), world = communicator_.size();
  std::function<Feeding(const ResolvedBatch&)> feeding;
  std::vector<HostPart> by_rank;
  if (experiment_.data.sharding == Sharding::kShared) {
    data_hash_ = data_.fingerprint;
    feeding = [&](const ResolvedBatch& batch) {
      return feeding_from_all(data_.train->size(), batch, seed, rank, world);
    };
  } else {
    const std::string mine = to_text({host_name(), data_.train->size(), data_.fingerprint});
    for (const std::string& text : communicator_.all_gather_bytes(mine)) by_rank.push_back(parse_host_part(text));
    data_hash_ = fingerprint_of(by_rank);
    feeding = [&](const ResolvedBatch& batch) { return feeding_from_host(by_rank, batch, seed, rank); };
  }
  const bool rate_follows_batch = experiment_.optimizer.learning_rate.per.has_value();
  std::vector<int64_t> steps_per_epoch;
  auto resized = data_.resized.begin();
  for (size_t i = 0; i < settings_.size(); ++i) {
    const ResolvedBatch& batch = settings_[i].batch;
    const bool has_size = i < experiment_.train.stages.size() && experiment_.train.stages[i].size;
    const Dataset* data = has_size ? (resized++)->get() : data_.train.get();
    stages_.push_back({batch,
                       feeding(batch),
                       settings_[i].images(),
                       {data, nullptr},
                       rate_follows_batch ? static_cast<float>(batch.global) / static_cast<float>(batch_.global) : 1});
    steps_per_epoch.push_back(stages_.back().feeding.sampler.steps_per_epoch());
  }
  horizon_ = horizon(experiment_, settings_, steps_per_epoch);
  watchers_ = make_watchers(experiment_, optimizer_config().learning_rate.base, horizon_, data_.test != nullptr);
}

void TrainingRun::make_caches() {
  if (experiment_.data.cache != DataCache::kDevice) return;
  try {
    training_cache_ = std::make_unique<DeviceCache>(
        *data_.train, batch_.micro, backend_, augment_options(experiment_.data.augment), experiment_.experiment.seed);
    stages_.back().data.cache = training_cache_.get();
    if (data_.test) test_cache_ = std::make_unique<DeviceCache>(*data_.test, batch_.micro, backend_);
  } catch (const Error& error) {
    throw Error(error.code(), std::string("data.cache: device: ") + error.what());
  }
}

void TrainingRun::plan_network() {
  const StageSettings evaluated{.batch = batch_, .sample = data_.train->sample()};
  run_on_all_ranks(communicator_, [&] {
    expect_writers(experiment_.train);
    plan_.emplace(plan_replica(experiment_, evaluated, settings_, backend_, communicator_, options_.hdf5));
  });
  cut_buckets_by_time(plan_->options.buckets, *backend_.communicator);
  if (const Teacher* teacher = plan_->options.shapes.front().teacher.get()) {
    run_on_all_ranks(communicator_, [&] {
      agree(communicator_, {{"teacher", teacher->fingerprint()}});
      require_same_classes(*experiment_.loss.teacher, teacher->class_names(),
                           data_.class_names);  // perhaps one's alone
    });
  }
}

void TrainingRun::make_network() {
  replica_ = std::make_unique<Replica>(std::move(plan_->model), backend_, plan_->options);
  plan_.reset();
  if (replica_->parameters().trainable_elements() == 0) {
    config_error(experiment_.model.where, "model", "no layer has parameters that are not frozen: nothing to train");
  }
  replica_->initialize(experiment_.experiment.seed, LossScaleOptions());
  Allocator& allocator = backend_.device->allocator();
  const Parameters& parameters = replica_->parameters();
  optimizer_ = make_optimizer(experiment_.optimizer, backend_, replica_->graph(), parameters, allocator);
  if (const double decay = experiment_.train.ema_decay; decay > 0) {
    average_ = std::make_unique<WeightAverage>(*backend_.ops, allocator, parameters, decay);
  }
  replica_->add_update(*optimizer_, average_.get());
  snapshot_ = std::make_unique<Snapshot>(*replica_, optimizer_.get(), backend_, average_.get());
  manifest_ =
      manifest_of(experiment_, batch_, data_hash_, replica_->teacher(), communicator_.size(), options_, backend_);
}

OptimizerConfig TrainingRun::optimizer_config() const {
  OptimizerConfig config = experiment_.optimizer;
  config.learning_rate = {config.learning_rate.of(batch_.global)};
  config.sharded = false;
  return config;
}

void TrainingRun::open_run_directory() {
  directory_ = std::make_unique<RunDirectory>(files_, experiment_.experiment.output_dir, experiment_.experiment.name,
                                              options_.fresh);
  directory_->require_unfinished(horizon_.steps);
  checkpointer_ = std::make_unique<Checkpointer>(
      files_,
      Checkpointer::Keep{directory_->checkpoints(), experiment_.checkpoint.keep, directory_->best(),
                         experiment_.checkpoint.best},
      manifest_, *snapshot_,
      describe_network(experiment_.model, data_.train->sample(), preprocessing_of(experiment_.data), data_.class_names),
      describe_training(optimizer_config(), experiment_.loss));
  checkpointer_->find_best([&](const std::string& text) { log_.warning(text); });
}

// Behind the run directory, which rank 0 makes.  One that only the host of rank 0 sees has the bad samples of its
// ranks.
void TrainingRun::open_bad_samples() {
  if (experiment_.data.on_error != OnError::kSkip) return;
  const std::string directory = RunDirectory::path_of(experiment_.experiment.output_dir, experiment_.experiment.name);
  if (leads() || std::filesystem::exists(directory)) bad_samples_.open(directory + "/bad_samples.jsonl");
}

bool TrainingRun::resume() {
  const std::optional<Checkpoint> checkpoint =
      find_checkpoint(experiment_.checkpoint.resume, *directory_, files_, log_);
  if (!checkpoint) return false;
  if (checkpoint->manifest.step > horizon_.steps) {
    throw Error(ExitCode::kConfig, checkpoint->path + ": is of a longer run: this one has " +
                                       std::to_string(horizon_.steps) + " steps" + kOtherSettings);
  }
  require_same_cursor(checkpoint->manifest, manifest_, checkpoint->path);
  require_same_loss_scaling(checkpoint->manifest, manifest_, checkpoint->path);
  require_same_stages(checkpoint->manifest, horizon_, checkpoint->path);
  try {
    snapshot_->restore_model(*checkpoint);
    snapshot_->restore_optimizer(*checkpoint);
    snapshot_->restore_average(*checkpoint);
  } catch (const Error& error) {  // whole, but of another network or optimizer
    throw Error(ExitCode::kConfig, std::string(error.what()) + kOtherSettings);
  }
  if (const std::string* watchers = watchers_of(*checkpoint)) watchers_.restore(*watchers, checkpoint->path);
  if (watchers_.stops() && directory_->finished()) {
    throw Error(ExitCode::kCannotCreate, directory_->path() + ": this run has stopped early, after " +
                                             std::to_string(checkpoint->manifest.step) +
                                             " steps: use --fresh to start over, another experiment.name, or more "
                                             "train.early_stopping.patience");
  }
  first_step_ = checkpoint->manifest.step;
  resumed_ = resume_text(*checkpoint, manifest_);
  return true;
}

void TrainingRun::announce() const {
  if (!speaks()) return;
  std::string text = run_header({options_.version, experiment_, batch_, stages_, horizon_, backend_, communicator_,
                                 *replica_, *optimizer_, data_.train->size(), data_.test ? data_.test->size() : 0});
  // Of a machine without a driver, or a program built without CUDA, nobody expects one.
  const bool expected =
      !backend_.note.starts_with("no CUDA driver") && !backend_.note.starts_with("libconvoy_cuda.so not");
  if (!backend_.note.empty() && expected) {
    text += "\n  device    no GPU: " + backend_.note;
  }
  for (const std::string& done : {options_.binding, near_}) {
    if (!done.empty()) text += "\n  binding   " + done;
  }
  if (options_.gpustat && backend_.device->kind() == DeviceKind::kCpu) {
    text += "\n  gpustat   there is no GPU in this run to report on: " +
            (backend_.note.empty() ? "it trains on the CPU" : backend_.note);
  }
  if (metrics_) {
    text += "\n  metrics   http://" + experiment_.metrics.host + ":" + std::to_string(metrics_->port()) + "/metrics";
  }
  for (const std::string& line : initial_) text += "\n  weights   " + line;
  text += "\n  output    " + directory_->path() + (resumed_.empty() ? "" : "\n  resume    " + resumed_);
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

int TrainingRun::loader_threads() const {
  return std::min(options_.threads, static_cast<int>(std::ranges::count(processor_mask(), '1')));  // see stay_near()
}

ExitCode TrainingRun::run() {
  Progress progress(progress_style(experiment_.progress, communicator_.rank()), experiment_.train.log_every_steps,
                    experiment_.train.log_every_seconds, communicator_.size());
  Trainer trainer({*backend_.device,
                   communicator_,
                   *replica_,
                   average_.get(),
                   optimizer_->scales_loss(),
                   optimizer_->clips_norm(),
                   stages_,
                   {data_.test.get(), test_cache_.get()},
                   signals_,
                   progress,
                   log_,
                   metrics_.get(),
                   *snapshot_,
                   checkpointer_.get(),
                   directory_.get(),
                   bad_samples_,
                   watchers_,
                   mix_options(experiment_.data.mix, experiment_.experiment.seed)},
                  make_schedule(experiment_, optimizer_config().learning_rate.base, horizon_),
                  {experiment_.data.workers, loader_threads(), experiment_.data.prefetch}, experiment_.experiment.seed,
                  horizon_, first_step_);
  const ExitCode code = trainer.run();
  last_evaluation_ = trainer.last_evaluation();
  if (code == ExitCode::kDone) run_on_all_ranks(communicator_, [&] { export_model(trainer.steps_done()); });
  conclude(code, trainer, progress.images_per_second());
  return code;
}

// Collective: the files of train.exports, which rank 0 writes into the run directory.
void TrainingRun::export_model(int64_t steps) {
  if (experiment_.train.exports.empty()) return;
  snapshot_->take();
  if (!leads()) return;
  Network network;
  network.config = experiment_.model;
  network.sample = data_.train->sample();
  network.model = build_model(experiment_.model, experiment_.data, network.sample,
                              {.training = false, .normalize = false, .rewrite = false});
  network.weights = elements_of(snapshot_->model_tensors());
  network.preprocessing = preprocessing_of(experiment_.data);
  network.class_names = data_.class_names;
  if (experiment_.train.export_ema) {
    for (auto& [name, values] : averages_in(snapshot_->average_tensors())) network.weights[name] = std::move(values);
  } else {
    network.training = {optimizer_config(), experiment_.optimizer.steps_before + steps,
                        elements_of(snapshot_->optimizer_tensors()), experiment_.loss};
  }
  for (const std::string& name : experiment_.train.exports) {
    for (const std::string& note : write_network(files_, directory_->path() + "/" + name, network, {})) {
      log_.warning(name + ": " + note);
    }
  }
}

void TrainingRun::conclude(ExitCode code, const Trainer& trainer, double images_per_second) const {
  const std::string step = std::to_string(trainer.steps_done());
  if (code == ExitCode::kNonFinite) {
    throw CollectiveError(code,
                          trainer.fault() + "; nothing was saved since the last checkpoint (a lower learning rate?)");
  }
  if (code == ExitCode::kIo) throw CollectiveError(code, "the checkpoint of step " + step + " could not be saved");
  if (!speaks()) return;
  const bool early = code == ExitCode::kDone && trainer.steps_done() < horizon_.steps;
  std::printf("%s after %s of %lld steps, %.0f img/s; %s\n",
              early                     ? "done, stopped early"
              : code == ExitCode::kDone ? "done"
                                        : "saved and stopped; the same command goes on",
              step.c_str(), static_cast<long long>(horizon_.steps), images_per_second, directory_->path().c_str());
}

}  // namespace convoy
