#include "launcher/trainer.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "launcher/collective_errors.h"

namespace convoy {
namespace {

const char* phase_at_end(ExitCode code) {
  switch (code) {
    case ExitCode::kDone: return "finished";
    case ExitCode::kNonFinite: return "nonfinite";
    case ExitCode::kIo: return "unsaved";
    default: return "stopped";
  }
}

nlohmann::json to_json(const Communication& it) {
  return {{"bytes", it.bytes},
          {"exposed_seconds", it.exposed_seconds},
          {"busy_seconds", it.busy_seconds},
          {"buckets", to_json(it.buckets)}};
}

}  // namespace

Trainer::Trainer(const Parts& parts, Schedule schedule, const Loading& loading, uint64_t seed, const Horizon& horizon,
                 int64_t first_step)
    : parts_(parts),
      schedule_(std::move(schedule)),
      loading_(loading),
      seed_(seed),
      horizon_(horizon),
      step_(first_step),
      averaged_step_(first_step) {
  enter_stage();
}

// Of the next step.
void Trainer::enter_stage() {
  stage_ = horizon_.stage(step_);
  share_ = share_of(stage().batch.micro_batches, parts_.communicator.rank(), parts_.communicator.size());
  CHECK(share_.count >= 1, "fewer micro-batches than ranks");
  const StageSteps& steps = horizon_.stages[stage_];
  const int64_t end = stage_ + 1 < horizon_.stages.size()
                          ? std::min(horizon_.steps, horizon_.stages[stage_ + 1].first_step)
                          : horizon_.steps;
  const int64_t epochs = (end - steps.first_step + steps.steps_per_epoch - 1) / steps.steps_per_epoch;
  const Feeding& feeding = stage().feeding;
  feed_.reset();  // its threads, before others are started
  parts_.replica.train_on(stage().images);
  feed_ = std::make_unique<Feed>(stage().data, feeding.sampler, parts_.replica, parts_.device,
                                 Loader::Options{.rank = feeding.rank,
                                                 .world = feeding.world,
                                                 .threads = loading_.threads,
                                                 .most_threads = loading_.most_threads,
                                                 .prefetch = loading_.prefetch,
                                                 .epoch = horizon_.epoch(step_),
                                                 .step = horizon_.step_in_epoch(step_),
                                                 .end_epoch = steps.first_epoch + epochs,
                                                 .mix = parts_.mix},
                                 feeding.first_row);
}

void Trainer::step() {
  Replica& replica = parts_.replica;
  StepReport& report = reports_.emplace_back();

  begin_step();
  for (int64_t pass = 0; pass < share_.count; ++pass) {
    report.data_wait_seconds += feed_->load_next();
    report.ready_batches = feed_->loader().ready();
    // Forward, backward; the last pass also sums the gradients over all ranks while backward still runs, and updates.
    replica.run({.first = pass == 0, .last = pass + 1 == share_.count});
  }
  report.step = ++step_;
  if (replica.averages_behind(step_)) average_over_ranks();
  replica.fetch_control();

  report.learning_rate = replica.scalars().learning_rate;
  report.loader_threads = feed_->loader().threads();
  report.bad_samples = parts_.bad_samples.count();
}

void Trainer::begin_step() {
  const int signal = parts_.signals.stop_signal();
  StepScalars& scalars = parts_.replica.scalars();
  scalars.learning_rate = stage().learning_rate_factor * parts_.watchers.rate(step_, schedule_(step_));
  // Of the batch whose gradients an update sees: the rank's own, where ranks train apart.
  const auto apart = parts_.replica.trains_apart() ? parts_.communicator.size() : 1;
  scalars.one_over_global_rows = static_cast<float>(apart) / static_cast<float>(stage().batch.global);
  scalars.one_over_micro_batches = 1.0F / static_cast<float>(stage().batch.micro_batches);
  scalars.step = step_;
  scalars.seed = seed_;
  const bool spoilt = save_error_ == ExitCode::kNonFinite;  // the weights: nothing more would be saved
  scalars.requests[0] = signal != 0 || spoilt ? 1.0F : 0.0F;
  scalars.requests[1] = parts_.signals.take_save_request() ? 1.0F : 0.0F;
  scalars.requests[2] = signal == SIGINT ? 1.0F : 0.0F;
}

// Looks at finished steps until at most `pending` are left; what ends the run, if anything.  The control block is the
// same on all ranks, and so is what follows from it.
std::optional<ExitCode> Trainer::follow(size_t pending) {
  std::optional<ExitCode> end;
  while (reports_.size() > (end ? 0 : pending)) {
    const StepReport report = finished_report();
    publish(report);
    if (report.nonfinite) {
      fault_ = "the loss or a gradient is not finite in step " + std::to_string(report.step) + nonfinite_origin();
      return ExitCode::kNonFinite;
    }
    save_requested_ |= report.save_requested;
    if (report.interrupted) end = ExitCode::kInterrupted;
    if (report.stop_requested && !end) end = ExitCode::kPreempted;
  }
  return end;
}

StepReport Trainer::finished_report() {
  const float* control = parts_.replica.take_control();
  StepReport report = reports_.front();
  reports_.pop_front();
  const double rows = std::max(1.0, static_cast<double>(control[kValidRows]));
  report.steps = horizon_.steps;
  report.epoch = static_cast<int>(horizon_.epoch(report.step - 1));
  report.loss = static_cast<double>(control[kLossSum]) / rows;
  report.accuracy = static_cast<double>(control[kCorrect]) / rows;
  report.images = static_cast<int64_t>(rows);
  if (parts_.clips_norm) report.gradient_norm = double{control[kGradientNorm]};
  report.overflow = control[kOverflow] > 0 && parts_.scales_loss;
  report.nonfinite = control[kNonFinite] > 0 || (control[kOverflow] > 0 && !parts_.scales_loss);
  report.stop_requested = control[kStopRequested] > 0;
  report.save_requested = control[kSaveRequested] > 0;
  report.interrupted = control[kInterrupted] > 0;
  report.communication = parts_.replica.communication();
  report.step_seconds = since_.seconds();
  since_.restart();
  return report;
}

ExitCode Trainer::run() {
  const size_t ahead = parts_.device.runs_ahead() ? 2 : 0;
  if (parts_.run_directory != nullptr) parts_.run_directory->write_status("training", step_);
  // It may have been stopped between the two.
  if (parts_.watchers.any() && horizon_.evaluates(step_) && parts_.watchers.evaluated_step < step_) evaluate_now();
  since_.restart();
  while (step_ < horizon_.steps && !parts_.watchers.stops()) {
    if (horizon_.stage(step_) != stage_) enter_stage();
    step();
    const bool pauses = horizon_.saves(step_) || horizon_.evaluates(step_) || step_ == horizon_.steps;
    if (const std::optional<ExitCode> end = follow(pauses ? 0 : ahead)) return stop(*end);
    if (!pauses && !save_requested_) continue;
    if (const std::optional<ExitCode> end = follow(0)) return stop(*end);
    // Before saving: what follows from it belongs to the checkpoint.
    if (parts_.watchers.any() && horizon_.evaluates(step_)) evaluate_now();
    if (save_requested_ || horizon_.saves(step_)) save();
    save_requested_ = false;
    if (horizon_.evaluates(step_)) evaluate_now();
    since_.restart();
  }
  evaluate_now();
  return stop(ExitCode::kDone);
}

void Trainer::publish(const StepReport& report) {
  report_bad_samples();
  parts_.progress.step(report);
  if (parts_.metrics != nullptr) parts_.metrics->publish(report);
  const bool last = report.step == report.steps || report.nonfinite || report.stop_requested;
  if (parts_.run_directory == nullptr || (report.step % horizon_.log_steps != 0 && !last)) return;
  nlohmann::json event{{"event", "step"},
                       {"step", report.step},
                       {"epoch", report.epoch},
                       {"loss", report.loss},  // null when it is not finite
                       {"accuracy", report.accuracy},
                       {"learning_rate", report.learning_rate},
                       {"step_seconds", report.step_seconds}};
  if (report.gradient_norm) event["gradient_norm"] = *report.gradient_norm;
  if (parts_.communicator.size() > 1) event["communication"] = to_json(report.communication);
  parts_.run_directory->append_log(event.dump());
}

void Trainer::report_bad_samples() {
  if (parts_.bad_samples.waiting() == 0) return;
  parts_.progress.finish();
  parts_.bad_samples.flush();
}

void Trainer::evaluate_now() {
  if (parts_.test_data.dataset == nullptr || evaluated_step_ == step_) return;
  const Stopwatch watch;
  Loading loading = loading_;
  if (loading.threads == 0) loading.threads = feed_->loader().threads();  // as many as training came to need
  come_together();
  swap_average();
  last_evaluation_ = evaluate(parts_.replica, parts_.test_data, parts_.communicator, parts_.device, loading);
  swap_average();
  report_bad_samples();
  evaluated_step_ = step_;
  const Evaluation& it = *last_evaluation_;
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, ", %.1f s", watch.seconds());
  parts_.progress.line(std::string("test ") + (parts_.average == nullptr ? "" : "of averaged weights ") +
                       "after step " + std::to_string(step_) + ": " + to_text(it) + seconds);
  if (parts_.metrics != nullptr) parts_.metrics->publish(it);
  nlohmann::json event{
      {"event", "test"}, {"step", step_}, {"loss", it.loss}, {"correct", it.correct}, {"images", it.images}};
  if (it.correct_top5) event["correct_top5"] = *it.correct_top5;
  if (parts_.average != nullptr) event["weights"] = "ema";
  if (parts_.run_directory != nullptr) parts_.run_directory->append_log(event.dump());
  follow_evaluation();
}

// Before and behind what shall see the averaged weights.
void Trainer::swap_average() {
  if (parts_.average == nullptr) return;
  parts_.average->swap(parts_.replica.parameters(), parts_.device.compute());
  parts_.replica.values_changed();
}

// The best of all evaluations is kept; the watchers know those that all lives of the run have, not that at its end.
void Trainer::follow_evaluation() {
  if (horizon_.evaluates(step_) && parts_.watchers.evaluated_step < step_) {
    for (const Watchers::Notice& notice : parts_.watchers.observe(step_, *last_evaluation_)) {
      parts_.progress.line(notice.text);
      if (parts_.run_directory == nullptr) continue;
      parts_.run_directory->append_log(
          nlohmann::json{{"event", notice.event}, {"step", step_}, {"text", notice.text}}.dump());
    }
  }
  const bool best = parts_.checkpointer != nullptr && parts_.checkpointer->is_best(*last_evaluation_);
  if (parts_.communicator.broadcast_bytes(best ? "best" : "", 0).empty()) return;
  if (!take_snapshot("best checkpoint") || parts_.checkpointer == nullptr) return;
  try {
    parts_.progress.line("best so far: " + parts_.checkpointer->save_best(moment(), *last_evaluation_));
  } catch (const Error& error) {
    parts_.progress.finish();
    parts_.log.warning(std::string("best checkpoint not saved: ") + error.what());
  }
}

Checkpointer::Moment Trainer::moment() const {
  return {step_, horizon_.epoch(step_), horizon_.samples_in_epoch(step_),
          parts_.watchers.any() ? parts_.watchers.text() : ""};
}

// Collective.  What is evaluated or saved is what all ranks have in common: what belongs to one of them ends here.
void Trainer::come_together() {
  parts_.replica.forget_rounding();
  average_over_ranks();
}

// Once a step: the mean of equal copies may have other bits than they.
void Trainer::average_over_ranks() {
  if (std::exchange(averaged_step_, step_) != step_) parts_.replica.average_over_ranks();
}

// Collective.  False where rank 0 has no memory for it.
bool Trainer::take_snapshot(const char* what) {
  try {
    run_on_all_ranks(parts_.communicator, [&] { parts_.snapshot.reserve(); });
  } catch (const CollectiveError& error) {
    if (parts_.checkpointer == nullptr) return false;
    parts_.progress.finish();
    parts_.log.warning(std::string(what) + " not saved: " + error.what());
    return false;
  }
  come_together();
  parts_.snapshot.take();
  return true;
}

// Collective.  Whether this step's checkpoint is on the disk; rank 0 knows, so only its answer counts.
bool Trainer::save() {
  if (save_tried_at_ == step_) return saved_;
  save_tried_at_ = step_;
  saved_ = take_snapshot("checkpoint");
  if (!saved_) save_error_ = ExitCode::kOutOfMemory;
  if (!saved_ || parts_.checkpointer == nullptr) return saved_;
  try {
    parts_.checkpointer->save(moment());
  } catch (const Error& error) {
    parts_.progress.finish();
    parts_.log.warning(std::string("checkpoint not saved: ") + error.what());
    saved_ = false;
    save_error_ = error.code();
  }
  return saved_;
}

// Collective: ", first in 'conv2d_1 forward' of rank 0".  The step was not applied, so its micro-batches would overflow
// again; of each rank's the last is still here, or, on a device that runs ahead, one of a later step.
std::string Trainer::nonfinite_origin() {
  const std::string mine = parts_.replica.first_nonfinite_step();
  for (int rank = 0; rank < parts_.communicator.size(); ++rank) {
    const std::string found = parts_.communicator.broadcast_bytes(mine, rank);
    if (!found.empty()) return ", first in '" + found + "' of rank " + std::to_string(rank);
  }
  return "";
}

ExitCode Trainer::stop(ExitCode code) {
  const bool keep = code != ExitCode::kNonFinite;  // what led to a NaN must not become the newest checkpoint
  const bool saved = !keep || save();
  const std::string failure = saved ? "" : save_error_ == ExitCode::kNonFinite ? "nonfinite" : "unsaved";
  const std::string of_rank_0 = parts_.communicator.broadcast_bytes(failure, 0);
  if (of_rank_0 == "nonfinite") {
    code = ExitCode::kNonFinite;
    fault_ = "a weight or a running statistic is not finite after step " + std::to_string(step_);
  }
  if (of_rank_0 == "unsaved") code = ExitCode::kIo;
  parts_.progress.finish();
  if (parts_.run_directory != nullptr) {
    const bool early = code == ExitCode::kDone && step_ < horizon_.steps;
    parts_.run_directory->write_status(phase_at_end(code), step_, early ? "early_stopping" : "");
  }
  return code;
}

}  // namespace convoy
