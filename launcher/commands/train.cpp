#include <unistd.h>

#include <cstdio>

#include "core/base/hash.h"
#include "dist/agreement.h"
#include "launcher/binding.h"
#include "launcher/collective_errors.h"
#include "launcher/commands/commands.h"
#include "launcher/run_header.h"
#include "launcher/setup.h"
#include "layers/registry.h"

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

// What every manifest of this run says.
Manifest manifest_of(const Experiment& experiment, const ResolvedBatch& batch, const Dataset& data, int world,
                     int threads, const std::string& version) {
  Manifest manifest;
  manifest.seed = experiment.experiment.seed;
  manifest.world = world;
  manifest.global_batch = batch.global;
  manifest.micro_batch = batch.micro;
  manifest.config_hash = hash128_hex(show(experiment));
  manifest.data_hash = data.fingerprint();
  manifest.facts = {{"threads", std::to_string(threads)}, {"simd", to_string(simd_level())}, {"program", version}};
  return manifest;
}

// Rank 0 only: where to go on.  Nothing when this is a first life.
std::optional<Checkpoint> find_checkpoint(const CheckpointConfig& config, const RunDirectory& directory,
                                          FileSystem& files, const Log& log) {
  if (config.resume == "never") return std::nullopt;
  if (config.resume != "auto") return load_checkpoint(config.resume);
  return find_newest_valid(files, directory.checkpoints(), [&](const std::string& text) { log.warning(text); });
}

std::string resume_text(const Checkpoint& checkpoint, const Manifest& now) {
  const std::string obstacle = bitwise_obstacle(checkpoint.manifest, now);
  return "going on from " + checkpoint.path + (obstacle.empty() ? ", bit for bit" : "; not bit for bit: " + obstacle);
}

std::unique_ptr<MetricsExporter> make_metrics(const Experiment& experiment, const Communicator& communicator) {
  const MetricsConfig& config = experiment.metrics;
  if (!config.enabled) return nullptr;
  char node[256] = "";
  gethostname(node, sizeof node - 1);
  return std::make_unique<MetricsExporter>(
      MetricsOptions{.host = config.host,
                     .port = config.port == 0 ? 0 : config.port + communicator.local_rank(),
                     .labels = {{"run_id", experiment.experiment.name},
                                {"rank", std::to_string(communicator.rank())},
                                {"local_rank", std::to_string(communicator.local_rank())},
                                {"node", node}}});
}

// Everything that is made before the first step, in the order in which it is made.  Collective.
class TrainingRun {
 public:
  TrainingRun(bool fresh, std::string version, const Experiment& experiment, Communicator& communicator);
  ExitCode run();

 private:
  bool leads() const { return communicator_.rank() == 0; }
  void make_data();
  void make_network();
  void open_run_directory(bool fresh);
  void resume();
  void announce();

  const std::string version_;
  const Experiment& experiment_;
  Communicator& communicator_;
  const Log log_;
  PosixFileSystem files_;
  Signals signals_;
  std::string binding_;

  std::unique_ptr<Device> device_;
  Datasets data_;
  ResolvedBatch batch_;
  std::optional<Sampler> sampler_;
  Horizon horizon_;
  std::unique_ptr<KernelFactory> kernels_ = make_cpu_kernels();
  std::unique_ptr<FlatOps> ops_ = make_cpu_flat_ops();
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<Optimizer> optimizer_;
  Manifest manifest_;
  std::unique_ptr<RunDirectory> directory_;
  std::unique_ptr<Checkpointer> checkpointer_;
  std::unique_ptr<MetricsExporter> metrics_;
  int64_t first_step_ = 0;
  std::string resumed_;
};

TrainingRun::TrainingRun(bool fresh, std::string version, const Experiment& experiment, Communicator& communicator)
    : version_(std::move(version)),
      experiment_(experiment),
      communicator_(communicator),
      log_(LogLevel::kInfo, communicator.size() > 1 ? communicator.rank() : -1) {
  run_on_all_ranks(communicator_, [&] {
    binding_ = undo_default_binding(communicator_.size());
    device_ = make_device(experiment_, communicator_.local_size());
    make_data();
  });
  run_on_all_ranks(communicator_, [&] {
    agree(communicator_, {{"experiment", show(experiment_)},
                          {"program", version_},
                          {"threads", std::to_string(threads_per_rank(experiment_, communicator_.local_size()))},
                          {"training data", data_.train->fingerprint()},
                          {"test data", data_.test ? data_.test->fingerprint() : "none"}});
  });
  run_on_all_ranks(communicator_, [&] { make_network(); });
  run_on_all_ranks(communicator_, [&] {
    if (leads()) open_run_directory(fresh);
    if (leads()) resume();
    metrics_ = make_metrics(experiment_, communicator_);
  });
  first_step_ = std::stoll(communicator_.broadcast_bytes(std::to_string(first_step_), 0));
  broadcast_state(replica_->parameters(), optimizer_.get(), communicator_);
  announce();
}

void TrainingRun::make_data() {
  data_ = open_datasets(experiment_.data, experiment_.experiment.seed);
  batch_ = resolve(experiment_.batch, communicator_.size());
  sampler_.emplace(Sampler::Options{.size = data_.train->size(),
                                    .global_batch = batch_.global,
                                    .micro_batch = batch_.micro,
                                    .seed = experiment_.experiment.seed});
  horizon_ = horizon(experiment_, sampler_->steps_per_epoch());
}

void TrainingRun::make_network() {
  replica_ = std::make_unique<Replica>(
      build_model(experiment_.model, experiment_.data, data_.train->sample(), batch_.micro), *device_, communicator_,
      *kernels_, *ops_, replica_options(experiment_, batch_, communicator_.rank(), communicator_.size()));
  replica_->parameters().initialize(experiment_.experiment.seed);
  optimizer_ = make_optimizer(experiment_.optimizer, *ops_, device_->allocator(), replica_->parameters());
  manifest_ = manifest_of(experiment_, batch_, *data_.train, communicator_.size(),
                          threads_per_rank(experiment_, communicator_.local_size()), version_);
}

void TrainingRun::open_run_directory(bool fresh) {
  directory_ =
      std::make_unique<RunDirectory>(files_, experiment_.experiment.output_dir, experiment_.experiment.name, fresh);
  directory_->require_unfinished(horizon_.steps);
  directory_->write_config(show(experiment_));
  checkpointer_ = std::make_unique<Checkpointer>(files_, directory_->checkpoints(), experiment_.checkpoint.keep,
                                                 manifest_, replica_->parameters(), *optimizer_);
}

void TrainingRun::resume() {
  const std::optional<Checkpoint> checkpoint = find_checkpoint(experiment_.checkpoint, *directory_, files_, log_);
  if (!checkpoint) return;
  require_same_cursor(checkpoint->manifest, manifest_, checkpoint->path);
  restore_model(*checkpoint, replica_->parameters());
  restore_optimizer(*checkpoint, replica_->parameters(), *optimizer_);
  first_step_ = checkpoint->manifest.step;
  resumed_ = resume_text(*checkpoint, manifest_);
}

void TrainingRun::announce() {
  if (!leads()) return;
  std::string text = run_header({version_, experiment_, batch_, horizon_, *device_, communicator_, *replica_,
                                 data_.train->size(), data_.test ? data_.test->size() : 0});
  if (!binding_.empty()) text += "\n  binding   " + binding_;
  if (metrics_) {
    text += "\n  metrics   http://" + experiment_.metrics.host + ":" + std::to_string(metrics_->port()) + "/metrics";
  }
  text += "\n  output    " + directory_->path() + (resumed_.empty() ? "" : "\n  resume    " + resumed_);
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

ExitCode TrainingRun::run() {
  Progress progress(progress_style(experiment_.progress, communicator_.rank()), experiment_.train.log_every_steps,
                    experiment_.train.log_every_seconds, communicator_.size());
  Trainer trainer({*device_, communicator_, *replica_, *optimizer_, *sampler_, *data_.train, data_.test.get(), signals_,
                   progress, log_, metrics_.get(), checkpointer_.get(), directory_.get()},
                  make_schedule(experiment_, horizon_), {experiment_.data.workers, experiment_.data.prefetch},
                  experiment_.experiment.seed, horizon_, first_step_);
  const ExitCode code = trainer.run();
  const std::string step = std::to_string(trainer.steps_done());
  if (code == ExitCode::kNonFinite) {
    throw CollectiveError(code, "the loss is not finite in step " + step +
                                    "; nothing was saved since the last checkpoint (a lower learning rate?)");
  }
  if (code == ExitCode::kIo) throw CollectiveError(code, "the checkpoint of step " + step + " could not be saved");
  if (!leads()) return code;
  char text[160];
  std::snprintf(text, sizeof text, "%s after %s of %lld steps, %.0f img/s; %s",
                code == ExitCode::kDone ? "done" : "saved and stopped", step.c_str(),
                static_cast<long long>(horizon_.steps), progress.images_per_second(), directory_->path().c_str());
  std::printf("%s\n", text);
  return code;
}

}  // namespace

int train_command(const CommandLine& line, MpiSession& session) {
  Experiment experiment;
  std::unique_ptr<Communicator> communicator;
  run_on_all_ranks(session,
                   [&] { experiment = load_experiment(require_word(line, 0, "an experiment file"), line.overrides); });
  run_on_all_ranks(session,
                   [&] { communicator = make_mpi_communicator(session, mpi_options(experiment.distributed)); });
  return static_cast<int>(TrainingRun(line.fresh, version_text(session), experiment, *communicator).run());
}

}  // namespace convoy
