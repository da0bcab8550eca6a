#include "launcher/run_header.h"

#include <cstdio>

#include "launcher/config/names.h"

namespace convoy {
namespace {

// 1199882 → "1,199,882"
std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (auto i = static_cast<int64_t>(text.size()) - 3; i > 0; i -= 3) text.insert(static_cast<size_t>(i), ",");
  return text;
}

std::string short_number(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", number);
  return text;
}

std::string mib(int64_t bytes) { return short_number(static_cast<double>(bytes) / (1 << 20)) + " MiB"; }

template <class Enum>
std::string name_of(Enum type) {
  return std::string(names_of(type)[static_cast<size_t>(type)]);
}

std::string learning_rate_text(const LearningRate& rate, int global_batch) {
  const std::string text = short_number(rate.of(global_batch));
  if (!rate.per) return text;
  return text + " = " + short_number(rate.base) + " × " + std::to_string(global_batch) + " / " +
         std::to_string(*rate.per);
}

std::string optimizer_text(const Experiment& experiment, int global_batch) {
  const OptimizerConfig& it = experiment.optimizer;
  std::string text = name_of(it.type);
  text += ", learning rate " + learning_rate_text(it.learning_rate, global_batch);
  if (!is_adam(it.type) && it.type != OptimizerType::kLamb && it.momentum > 0) {
    text += std::string(it.nesterov ? ", nesterov" : ", momentum") + " " + short_number(it.momentum);
  }
  if (it.weight_decay > 0) {
    text += ", weight decay " + short_number(it.weight_decay) +
            (it.type == OptimizerType::kAdamw ? " (decoupled" : " (coupled") +
            (it.decay_vectors ? ")" : ", not of biases and norms)");
  }
  if (experiment.train.ema_decay > 0)
    text += ", weights averaged with decay " + short_number(experiment.train.ema_decay);
  if (it.clip_norm > 0) text += ", gradients clipped to norm " + short_number(it.clip_norm);
  if (it.clip_value > 0) text += ", gradients clipped to " + short_number(it.clip_value);
  const ScheduleConfig& schedule = experiment.schedule;
  std::string shapes = schedule.type == ScheduleType::kConstant ? "" : name_of(schedule.type);
  for (const ScheduleShape& phase : schedule.phases) shapes += (shapes.empty() ? "" : ", then ") + name_of(phase.type);
  if (!shapes.empty()) text += ", " + shapes + " schedule";
  if (experiment.schedule.warmup_epochs > 0) {
    text += ", warm-up " + short_number(experiment.schedule.warmup_epochs) + " epochs";
  }
  if (schedule.plateau) {
    text += ", times " + short_number(schedule.plateau->factor) + " on plateaus of the test " +
            name_of(schedule.plateau->metric);
  }
  return text;
}

std::string steps_text(const Experiment& experiment, const Horizon& horizon) {
  std::string text = grouped(horizon.steps);
  if (horizon.stages.size() == 1) text += ", " + grouped(horizon.steps_per_epoch()) + " an epoch";
  if (const auto& early = experiment.train.early_stopping) {
    text += "; fewer where the test " + name_of(early->metric) + " gets no better (patience " +
            std::to_string(early->patience) + ")";
  }
  return text;
}

std::string batch_text(const ResolvedBatch& batch) {
  return std::to_string(batch.global) + " = " + std::to_string(batch.micro_batches) + " micro-batches of " +
         std::to_string(batch.micro);
}

// "from epoch 6: images of 128x128, batch 256 = 4 micro-batches of 64, 39 steps an epoch"
std::string stage_text(const RunFacts& facts, size_t i) {
  const TrainingStage& stage = facts.stages[i];
  const StageSteps& steps = facts.horizon.stages[i];
  return "from epoch " + std::to_string(steps.first_epoch + 1) + ": images of " + std::to_string(stage.images.h) + "x" +
         std::to_string(stage.images.w) + ", batch " + batch_text(stage.batch) + ", " + grouped(steps.steps_per_epoch) +
         " steps an epoch" +
         (stage.learning_rate_factor == 1 ? "" : ", learning rate times " + short_number(stage.learning_rate_factor));
}

}  // namespace

std::string run_header(const RunFacts& facts) {
  const Experiment& experiment = facts.experiment;
  const ResolvedBatch& batch = facts.batch;
  const int world = facts.communicator.size();
  const MemoryPlan& memory = facts.replica.training_memory();
  std::string text = facts.version + "\n";
  const auto line = [&](const char* name, const std::string& value) {
    text += std::string("  ") + name + std::string(10 - std::string(name).size(), ' ') + value + "\n";
  };
  line("run", experiment.experiment.name + ", seed " + std::to_string(experiment.experiment.seed));
  line("model", experiment.model.name + ", " + grouped(facts.replica.parameters().parameter_count()) + " parameters, " +
                    to_string(facts.backend.precision));
  line("data", grouped(facts.training_images) + " training images, " + grouped(facts.test_images) + " test images" +
                   (experiment.data.sharding == Sharding::kShared
                        ? ""
                        : "; each host draws from its own: results depend on hosts and ranks"));
  line("ranks",
       std::to_string(world) + " on " + facts.backend.device->name() + "; " + facts.backend.communicator->name());
  line("batch", "global " + batch_text(batch) + " over " + std::to_string(world) + (world == 1 ? " rank" : " ranks"));
  for (size_t i = 0; !experiment.train.stages.empty() && i < facts.stages.size(); ++i)
    line("stage", stage_text(facts, i));
  if (experiment.train.sync_bn) {
    const std::string rows = experiment.train.stages.empty() ? std::to_string(batch.micro * world) + " rows, " +
                                                                   std::to_string(batch.micro) + " of each rank"
                                                             : "a micro-batch of each rank";
    line("sync_bn", "batch norm over " + rows + ": results depend on the number of ranks");
  }
  if (const int64_t steps = experiment.distributed.average_every; steps > 1 && world > 1) {
    line("apart", "every rank trains by itself; in " + grouped(steps) +
                      " steps once they average their weights: results depend on the number of ranks");
  }
  if (const std::optional<SumTime>& time = facts.replica.buckets().sum_time) {
    line("buckets", mib(facts.replica.buckets().bytes) + " of gradients or more: a sum takes " +
                        short_number(1e6 * time->latency) + " us, and 1 s for " +
                        short_number(time->bytes_per_second / 1e9) + " GB");
  }
  if (const Teacher* teacher = facts.replica.teacher()) line("teacher", teacher->text());
  line("steps", steps_text(experiment, facts.horizon));
  line("optimizer", optimizer_text(experiment, batch.global) +
                        (experiment.optimizer.sharded && world > 1 ? ", sharded over the ranks" : ""));
  const int64_t scratch = facts.optimizer.scratch_bytes();
  line("memory", "activations " + mib(memory.arena_bytes) + " a rank (" + mib(memory.total_bytes) + " without reuse)" +
                     (facts.replica.recomputes() ? ", blocks recomputed" : "") +
                     (scratch > 0 ? ", scratch of the optimizer " + mib(scratch) : ""));
  text.pop_back();
  return text;
}

}  // namespace convoy
