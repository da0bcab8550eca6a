// One rank's copy of the network, ready to run: parameters, programs, one arena, the plans of a step.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/data/loader.h"
#include "core/device/target.h"
#include "core/device/transfer.h"
#include "core/graph/plan_runner.h"
#include "core/graph/program.h"
#include "core/train/optimizer.h"
#include "core/train/weight_average.h"
#include "dist/data_parallel.h"
#include "launcher/backend.h"
#include "launcher/device_cache.h"
#include "launcher/input_slots.h"
#include "launcher/model_builder.h"
#include "launcher/step_report.h"
#include "launcher/teacher.h"

namespace convoy {

// How many micro-batches this rank runs per step: at least and at most, where steps differ.  More than one need memory
// to accumulate in.
struct Passes {
  int least = 1, most = 1;
};

// What a replica trains on: micro-batches of one shape.
struct TrainedOn {
  std::shared_ptr<const Model> model = {};  // the same network for these; null: the replica's own
  Passes passes;
  std::shared_ptr<const Teacher> teacher = {};  // for the graph's input of that name

  const Graph& graph(const Model& own) const { return model == nullptr ? own.graph : model->graph; }
};

struct ReplicaOptions {
  std::vector<TrainedOn> shapes = {{}};  // of different ones, at least one
  BucketPolicy buckets;
  bool recompute = false;     // parts of the network, in backward, so that activations need less memory
  int ranks = 1;              // that share the statistics of a batch
  bool capture = true;        // plans, where the device can
  bool keeps_logits = false;  // of an evaluation, for answers()
};

// Of the training program; `recompute` what leaves least memory in use, see recompute_for_least_memory().
ProgramOptions training_options(const Graph& graph, Dtype compute, const ReplicaOptions& options);

// Everything is given to the compute stream of the device; on one that runs ahead the host does not wait for it.
class Replica {
 public:
  // The backend must outlive it.  Parameters start uninitialised (zero).
  Replica(Model model, Backend& backend, const ReplicaOptions& options);

  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const Graph& graph() const { return model_.graph; }
  const Model& model() const { return model_; }
  const Teacher* teacher() const { return courses_.front()->of.teacher.get(); }  // null: there is none
  int rows() const { return model_.graph.inputs().front().type.shape.n; }        // of a micro-batch
  int classes() const { return model_.graph.shape(model_.logits).c; }

  // Weights and statistics as the layers ask, the same for equal seeds.
  void initialize(uint64_t seed, const LossScaleOptions& loss_scale);
  // To be called when the values were written by anybody but the optimizer.
  void values_changed();
  bool trains_apart() const { return buckets_.averages(); }  // between steps behind which ranks average their copies
  bool averages_behind(int64_t steps) const { return buckets_.averages() && steps % buckets_.average_every == 0; }
  // Collective: where ranks have copies of their own, all get the mean of what was updated.
  void average_over_ranks();
  // Forgets what error feedback would add to the next step.
  void forget_rounding();
  // Collective, with BucketPolicy::sharded: the parts of `flat` [0, T) that each rank owns go to all ranks.
  void gather(float* flat);
  bool is_sharded() const { return !shards_.empty(); }
  // Once: from now on the last pass of a step ends with the update, and `average`, if any, moves on.  Both must outlive
  // it.
  void add_update(Optimizer& optimizer, WeightAverage* average = nullptr);

  // From now on training is on micro-batches of this shape [rows,H,W,C], one of ReplicaOptions::shapes.
  void train_on(const Shape& images);
  // What the next pass reads: the host's copy, which run() and evaluate() send along.
  StepScalars& scalars() { return scalars_; }
  // The micro-batch that the next pass works on: pixels [N,H,W,C], targets [N], of the shape that is trained on, or of
  // the model's for evaluate().  They must stay until wait_until_read().
  void load(std::span<const uint8_t> pixels, std::span<const Target> targets);
  // Likewise, out of the memory of the device.
  void load(DeviceCache& cache, const Batch& batch, const MixOptions& mix) {
    cache.gather(batch.ids, batch.epoch, mix, pixels_.data(), targets_.data());
  }
  // Runs the micro-batch that was loaded last once more and names the first step whose output is not finite, or "".
  // Its gradients and statistics take the place of those of the step.
  std::string first_nonfinite_step();
  void wait_until_read() { inputs_.wait_until_read(); }

  // Forward and backward of the loaded micro-batch, and the update.
  void run(PassPosition position);
  // Step by step; adds each step's seconds to seconds[i].  For measurements.
  void run_timed(PassPosition position, std::vector<double>& seconds);
  const Plan& pass(PassPosition position) const { return course_->at(position).plan; }
  // Forward only, from a cleared control block.
  void evaluate();

  struct Answers {
    std::span<const float> logits;  // [rows,classes]
    std::span<const Target> targets;
  };
  // Of the micro-batch that was evaluated last, with ReplicaOptions::keeps_logits; waits for the device.  Valid until
  // the next call.
  Answers answers();

  // The control block as the work given so far leaves it, and what communication has cost since the first pass.
  void fetch_control();
  size_t pending_controls() const { return controls_.pending(); }
  // [kControlSize], the oldest that was fetched and not taken; waits for it.  Valid until the next fetch_control().
  // Throws what ended the communication of ranks: then it was not summed.
  const float* take_control();
  // Of the step whose control block was taken last.
  const Communication& communication() const { return taken_; }

  const BucketPolicy& buckets() const { return buckets_; }
  bool recomputes() const { return recomputes_; }
  const MemoryPlan& training_memory() const;  // the largest of all shapes
  const MemoryPlan& evaluation_memory() const { return evaluation_program_.memory(); }

 private:
  struct Pass {
    Plan plan;
    std::unique_ptr<PlanRunner> runner;
  };
  // What trains on micro-batches of one shape.
  struct Course {
    const TrainedOn of;
    const Graph& graph;
    Program program;
    Pass passes[2][2] = {};  // [first][last]

    Pass& at(PassPosition position) { return passes[position.first ? 1 : 0][position.last ? 1 : 0]; }
  };
  std::vector<std::unique_ptr<Course>> make_courses(const ReplicaOptions& options);
  int64_t most_bytes(std::string_view input) const;
  void bind(Program& program, const Graph& graph);
  void make_passes(Course& course);
  void make_averaging(Optimizer& optimizer, WeightAverage* average);
  Executors executors() const;
  void follow_communication(const Plan& plan, const std::vector<double>& seconds);
  void run_and_follow(const Plan& plan, PlanRunner& runner);
  void ask_teacher(const Course& course, Plan& plan);
  void make_runner(Pass& pass) { pass.runner = std::make_unique<PlanRunner>(pass.plan, device_, capture_); }
  const StepScalars* device_scalars() const { return static_cast<const StepScalars*>(upload_.data()); }

  Model model_;
  Backend& backend_;
  Device& device_;
  const bool capture_, recomputes_;
  Parameters parameters_;
  const BucketPolicy buckets_;
  StepScalars scalars_;
  Upload upload_;  // of scalars_
  Download controls_;
  std::vector<std::unique_ptr<Course>> courses_;  // by shape of a micro-batch
  Course* course_;
  Program evaluation_program_;
  Buffer pixels_, targets_, class_weights_, teacher_logits_;  // for the largest micro-batch
  InputSlots inputs_;
  Buffer logits_, logits_on_host_, targets_on_host_;  // of answers(): f32; without bytes where they are not kept
  Buffer arena_;
  const std::vector<ElementRange> shards_;  // of which each rank updates a part; none where all update all
  Pass evaluation_;
  std::optional<Plan> averaging_;  // with add_update(), where ranks have copies of their own
  // On a device that runs ahead, where there are other ranks: it adds up what communication takes.
  std::optional<ExchangeClock> clock_;
  std::optional<Download> times_;
  Communication communication_, taken_;  // since the first pass; of the step whose control block was taken
  std::deque<Communication> fetched_;    // in between
};

}  // namespace convoy
