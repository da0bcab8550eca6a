#include "launcher/replica.h"

#include <algorithm>

namespace convoy {
namespace {

const ValueType& input_type(const Graph& graph, std::string_view name) {
  for (const Graph::Input& input : graph.inputs()) {
    if (input.name == name) return input.type;
  }
  throw InternalError("the graph has no input '" + std::string(name) + "'");
}

Step named_step(std::string name, std::function<void()> run) {
  Step step;
  step.name = std::move(name);
  step.run = std::move(run);
  return step;
}

// What this rank asks of all ranks travels in the control block: written right behind the step that clears it.
void insert_requests(Plan& plan, const StepScalars* scalars, float* control, FlatOps& ops, Stream& compute) {
  static_assert(kSaveRequested == kStopRequested + 1 && kInterrupted == kStopRequested + 2);
  plan.insert(1, named_step("requests", [=, &ops, &compute] {
                ops.copy(control + kStopRequested, scalars->requests, 3, compute);
              }));
}

}  // namespace

ProgramOptions training_options(const Graph& graph, Dtype compute, const ReplicaOptions& options) {
  ProgramOptions result{.compute = compute, .ranks = options.ranks};
  if (options.recompute) result.recompute = recompute_for_least_memory(graph);
  return result;
}

Replica::Replica(Model model, Backend& backend, const ReplicaOptions& options)
    : model_(std::move(model)),
      backend_(backend),
      device_(*backend.device),
      capture_(options.capture),
      recomputes_(options.recompute),
      teacher_(options.teacher),
      parameters_(model_.graph, device_.allocator(), backend.communicator->allocator(), shadow_dtype(backend),
                  options.buckets.dtype == Dtype::kBF16 && backend.communicator->size() > 1, options.buckets.sharded),
      upload_(device_, sizeof(StepScalars)),
      controls_(device_, kControlSize * sizeof(float)),
      pixels_(device_.allocator(), input_type(model_.graph, "image").bytes()),
      targets_(device_.allocator(), input_type(model_.graph, "target").bytes()),
      class_weights_(device_.allocator(), static_cast<int64_t>(model_.class_weights.size() * sizeof(float))),
      taught_(device_.allocator(), teacher_ == nullptr ? 0 : input_type(model_.graph, "teacher").bytes()),
      inputs_(device_, pixels_.bytes() + targets_.bytes()),
      training_program_(model_.graph, parameters_, *backend.kernels,
                        training_options(model_.graph, backend.precision, options)),
      evaluation_program_(
          model_.graph, parameters_, *backend.kernels,
          {Mode::kEval, backend.precision, options.keeps_logits ? std::vector{model_.logits} : std::vector<ValueId>{}}),
      arena_(device_.allocator(),
             std::max({training_program_.memory().arena_bytes, evaluation_program_.memory().arena_bytes, int64_t{1}})),
      shards_(share_updates(training_program_.plan(), parameters_, options.buckets, *backend.communicator)) {
  std::map<std::string, Tensor> inputs = {
      {"image", {pixels_.data(), input_type(model_.graph, "image")}},
      {"target", {targets_.data(), input_type(model_.graph, "target")}},
  };
  if (class_weights_.bytes() > 0) {
    device_.copy(class_weights_.data(), model_.class_weights.data(), class_weights_.bytes(), device_.compute());
    inputs["class_weights"] = {class_weights_.data(), input_type(model_.graph, "class_weights")};
  }
  if (teacher_ != nullptr) inputs["teacher"] = {taught_.data(), input_type(model_.graph, "teacher")};
  training_program_.bind(arena_.data(), parameters_, inputs, device_scalars(), device_.compute());
  evaluation_program_.bind(arena_.data(), parameters_, inputs, device_scalars(), device_.compute());
  make_passes(options);
  make_runners();
  if (!options.keeps_logits) return;
  const int64_t bytes = int64_t{rows()} * classes() * size_of(Dtype::kF32);
  logits_ = Buffer(device_.allocator(), bytes);
  logits_on_host_ = Buffer(device_.host_allocator(), bytes);
  targets_on_host_ = Buffer(device_.host_allocator(), targets_.bytes());
}

void Replica::make_passes(const ReplicaOptions& options) {
  FlatOps& ops = *backend_.ops;
  Stream& compute = device_.compute();
  float* control = parameters_.control();
  for (int i = 0; i < std::min(options.passes, 3); ++i) {  // first, middle, last: those that this rank has
    const PassPosition position{i == 0, i == std::min(options.passes, 3) - 1};
    Plan& plan = at(position).plan;
    plan = make_pass(training_program_.plan(), position, parameters_, ops, compute, *backend_.communicator,
                     options.buckets);
    if (position.first) insert_requests(plan, device_scalars(), control, ops, compute);
    if (teacher_ != nullptr) teacher_->prepend_to(plan, pixels_.data(), taught_.as<float>());
  }
  evaluation_.plan = evaluation_program_.plan();
  evaluation_.plan.insert(
      0, named_step("clear control", [=, &ops, &compute] { ops.clear(control, kControlSize, compute); }));
}

void Replica::make_runners() {
  for (Pass* pass : {&passes_[0][0], &passes_[0][1], &passes_[1][0], &passes_[1][1], &evaluation_}) {
    pass->runner = std::make_unique<PlanRunner>(pass->plan, device_, capture_);
  }
}

void Replica::initialize(uint64_t seed, const LossScaleOptions& loss_scale) {
  parameters_.initialize(seed, backend_.precision == Dtype::kF16 ? loss_scale.initial : 1, device_);
  values_changed();
}

void Replica::values_changed() {
  if (parameters_.shadow() == nullptr) return;
  backend_.ops->convert(parameters_.shadow(), parameters_.shadow_dtype(), parameters_.values(), Dtype::kF32,
                        parameters_.value_elements(), device_.compute());
}

void Replica::add_update(Optimizer& optimizer, WeightAverage* average) {
  for (Pass* pass : {&passes_[0][1], &passes_[1][1]}) {
    if (pass->plan.steps().empty()) continue;  // a rank has one of them: it runs one micro-batch, or several
    append_update(pass->plan, shards_, optimizer, parameters_, device_scalars(), *backend_.ops, device_.compute(),
                  *backend_.communicator);
    if (average == nullptr) continue;
    pass->plan.append(
        named_step("average", [this, average] { average->step(parameters_, device_scalars(), device_.compute()); }));
  }
}

void Replica::gather(float* flat) {
  Plan plan;
  append_gathers(plan, flat, shards_, device_.compute(), *backend_.communicator);
  plan.run();
}

void Replica::load(std::span<const uint8_t> pixels, std::span<const Target> targets) {
  CHECK(static_cast<int64_t>(pixels.size_bytes()) == pixels_.bytes() &&
        static_cast<int64_t>(targets.size_bytes()) == targets_.bytes());
  inputs_.load({{pixels_.data(), pixels.data(), pixels_.bytes()}, {targets_.data(), targets.data(), targets_.bytes()}});
}

const float* Replica::take_control() {
  const void* control = controls_.take();
  backend_.communicator->progress();
  return static_cast<const float*>(control);
}

std::optional<double> Replica::run(PassPosition position) {
  Pass& pass = at(position);
  upload_.send(&scalars_);
  if (device_.runs_ahead()) {
    pass.runner->run();
    return std::nullopt;
  }
  const std::vector<Step>& steps = pass.plan.steps();
  seconds_.assign(steps.size(), 0);
  pass.runner->run_timed(seconds_);
  double waited = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].name == kJoinStep) waited += seconds_[i];
  }
  return waited;
}

void Replica::run_timed(PassPosition position, std::vector<double>& seconds) {
  upload_.send(&scalars_);
  at(position).runner->run_timed(seconds);
}

void Replica::evaluate() {
  upload_.send(&scalars_);
  evaluation_.runner->run();
}

Replica::Answers Replica::answers() {
  CHECK(logits_on_host_.bytes() > 0, "logits are not kept");
  Stream& compute = device_.compute();
  const Tensor logits = evaluation_program_.value(model_.logits);
  const int64_t elements = logits.type.shape.elements();
  const void* values = logits.data;
  if (logits.type.dtype != Dtype::kF32) {
    backend_.ops->convert(logits_.data(), Dtype::kF32, values, logits.type.dtype, elements, compute);
    values = logits_.data();
  }
  device_.copy(logits_on_host_.data(), values, logits_on_host_.bytes(), compute);
  device_.copy(targets_on_host_.data(), targets_.data(), targets_.bytes(), compute);
  compute.synchronize();
  return {{logits_on_host_.as<float>(), static_cast<size_t>(elements)},
          {targets_on_host_.as<Target>(), static_cast<size_t>(rows())}};
}

}  // namespace convoy
