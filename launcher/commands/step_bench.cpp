#include "launcher/commands/step_bench.h"

#include <algorithm>
#include <numeric>

#include "launcher/collective_errors.h"
#include "launcher/stopwatch.h"

namespace convoy {
double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<double> gathered(double mine, RankGroup& group) {
  std::vector<double> by_rank;
  for (const std::string& text : group.all_gather_bytes(nlohmann::json(mine).dump()))
    by_rank.push_back(std::stod(text));
  return by_rank;
}

double mean(double mine, RankGroup& group) {
  const std::vector<double> all = gathered(mine, group);
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

double most(double mine, RankGroup& group) { return std::ranges::max(gathered(mine, group)); }

StepBench::StepBench(const Experiment& experiment, const Hdf5Options& hdf5, Communicator& host, Backend& backend,
                     const Dataset& data, BenchMode mode, int threads)
    : mode_(mode),
      batch_(resolve(experiment.batch, host.size())),
      device_(*backend.device),
      replica_(make_replica(experiment, hdf5, data, backend, host)),
      optimizer_(make_optimizer(experiment.optimizer, backend, replica_->graph(), replica_->parameters(),
                                backend.device->allocator())),
      passes_(share_of(batch_.micro_batches, host.rank(), host.size()).count) {
  const uint64_t seed = experiment.experiment.seed;
  replica_->initialize(seed, {});
  if (const double decay = experiment.train.ema_decay; decay > 0) {
    average_ = std::make_unique<WeightAverage>(*backend.ops, device_.allocator(), replica_->parameters(), decay);
  }
  replica_->add_update(*optimizer_, average_.get());
  StepScalars& scalars = replica_->scalars();
  scalars.learning_rate = 1e-4F;
  scalars.valid_rows = batch_.micro;
  scalars.one_over_global_rows = 1.0F / static_cast<float>(batch_.global);
  scalars.one_over_micro_batches = 1.0F / static_cast<float>(batch_.micro_batches);
  if (mode != BenchMode::kSynthetic) {
    feeding_ = std::make_unique<Feeding>(feeding_from_all(data.size(), batch_, seed, host.rank(), host.size()));
    feed_ = std::make_unique<Feed>(
        DataSource{&data}, feeding_->sampler, *replica_, device_,
        Loader::Options{.rank = feeding_->rank,
                        .world = feeding_->world,
                        .threads = experiment.data.workers > 0 ? experiment.data.workers : threads,
                        .most_threads = threads,
                        .prefetch = experiment.data.prefetch,
                        .mix = mix_options(experiment.data.mix, seed)},
        feeding_->first_row);
    return;
  }
  const int64_t elements = data.sample().elements();
  pixels_ = Buffer(device_.host_allocator(), batch_.micro * elements);
  targets_ = Buffer(device_.host_allocator(), batch_.micro * int64_t{sizeof(Target)});
  for (int row = 0; row < batch_.micro; ++row) {
    targets_.as<Target>()[row] = Target::of(data.read(row % data.size(), 0, pixels_.as<uint8_t>() + row * elements));
  }
}

std::unique_ptr<Replica> StepBench::make_replica(const Experiment& experiment, const Hdf5Options& hdf5,
                                                 const Dataset& data, Backend& backend, Communicator& host) const {
  const StageSettings only{.batch = batch_, .sample = data.sample()};
  std::optional<ReplicaPlan> plan;
  run_on_all_ranks(host, [&] { plan.emplace(plan_replica(experiment, only, {only}, backend, host, hdf5)); });
  cut_buckets_by_time(plan->options.buckets, *backend.communicator);
  return std::make_unique<Replica>(std::move(plan->model), backend, plan->options);
}

void StepBench::load() {
  if (feed_) {
    data_waits_.back() += feed_->load_next();
    return;
  }
  replica_->wait_until_read();
  replica_->load({pixels_.as<uint8_t>(), static_cast<size_t>(pixels_.bytes())},
                 {targets_.as<Target>(), static_cast<size_t>(batch_.micro)});
}

template <class Run>
void StepBench::for_each_pass(Run run) {
  for (int64_t pass = 0; pass < passes_; ++pass) {
    load();
    run(PassPosition{pass == 0, pass + 1 == passes_});
  }
  ++replica_->scalars().step;
}

void StepBench::steps(int count) {
  const size_t ahead = device_.runs_ahead() ? 2 : 0;
  for (int i = 0; i < count; ++i) {
    const Stopwatch watch;
    data_waits_.push_back(0);
    for_each_pass([&](const PassPosition& position) {
      if (mode_ != BenchMode::kLoader) replica_->run(position);
    });
    if (mode_ != BenchMode::kLoader && replica_->averages_behind(replica_->scalars().step)) {
      replica_->average_over_ranks();
    }
    replica_->fetch_control();
    while (replica_->pending_controls() > (i + 1 == count ? 0 : ahead)) {
      replica_->take_control();
      communication_.push_back(replica_->communication());
    }
    seconds_.push_back(watch.seconds());
  }
}

void StepBench::profile(int count) {
  for (int i = 0; i < count; ++i) {
    ++profiled_;
    for_each_pass([&](const PassPosition& position) {
      std::vector<double> seconds;
      replica_->run_timed(position, seconds);
      add_times(replica_->pass(position), seconds);
    });
  }
}

void StepBench::restart() {
  seconds_.clear();
  communication_.clear();
  data_waits_.clear();
  profiles_.clear();
  profiled_ = 0;
}

double StepBench::communication_wait() const {
  std::vector<double> waits;
  for (const Communication& it : communication_) waits.push_back(it.exposed_seconds);
  return median(std::move(waits));
}

std::vector<Communication::Bucket> StepBench::buckets() const {
  std::vector<Communication::Bucket> buckets = communication_.back().buckets;
  for (size_t i = 0; i < buckets.size(); ++i) {
    std::vector<double> exposed, busy;
    for (const Communication& step : communication_) {
      exposed.push_back(step.buckets[i].exposed_seconds);
      busy.push_back(step.buckets[i].busy_seconds);
    }
    buckets[i].exposed_seconds = median(std::move(exposed));
    buckets[i].busy_seconds = median(std::move(busy));
  }
  return buckets;
}

double StepBench::seconds_per_step() const {
  if (!device_.runs_ahead()) return median(seconds_);
  return std::accumulate(seconds_.begin(), seconds_.end(), 0.0) / static_cast<double>(seconds_.size());
}

std::vector<StepRow> StepBench::rows(const MachinePeak& peak) const {
  std::vector<StepRow> rows;
  const auto steps = static_cast<int64_t>(profiled_);
  for (const Profile& profile : profiles_) {
    StepRow row = profile.row;
    row.seconds = median(profile.seconds);
    row.flops /= steps;
    row.bytes /= steps;
    if (!profile.communicates) row.floor = peak.floor(row.flops, row.bytes);
    rows.push_back(std::move(row));
  }
  return rows;
}

// "layer3.0.conv1 backward_weights" → "conv2d backward_weights", "stem.convert forward" → "convert forward".  Of a
// teacher's network only the names are known: "teacher/conv2d_12 forward" → "teacher/conv2d forward".
std::string StepBench::kind_of(const Step& step) const {
  if (step.communicates) return "reduce";
  if (step.waits) return "join";
  if (step.bucket >= 0) return step.name.substr(0, step.name.find(" bucket "));
  const size_t space = std::min(step.name.find(' '), step.name.size());
  const std::string node = step.name.substr(0, space), what = step.name.substr(space);
  const auto& nodes = replica_->graph().nodes();
  if (const auto found = std::ranges::find(nodes, node, &Graph::Node::name); found != nodes.end()) {
    return found->layer->type() + what;
  }
  for (const std::string added : {"convert", "gradients"}) {  // by the program
    if (node.ends_with("." + added)) return (node.starts_with("teacher/") ? "teacher/" : "") + added + what;
  }
  const size_t number = node.find_last_not_of("0123456789") + 1;
  const bool numbered = number > 1 && number < node.size() && node[number - 1] == '_';
  return (numbered ? node.substr(0, number - 1) : node) + what;
}

void StepBench::add_times(const Plan& plan, const std::vector<double>& seconds) {
  for (size_t i = 0; i < plan.steps().size(); ++i) {
    const Step& step = plan.steps()[i];
    const auto named = [&](const Profile& it) { return it.row.name == step.name; };
    auto profile = std::ranges::find_if(profiles_, named);
    if (profile == profiles_.end()) {
      profile = profiles_.insert(profile, {{.name = step.name, .kind = kind_of(step)}, step.communicates, {}});
    }
    profile->seconds.resize(profiled_);
    profile->seconds.back() += seconds[i];
    profile->row.flops += step.flops;
    profile->row.bytes += step.bytes;
  }
}

}  // namespace convoy
