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

// What the device's clock says.
void add_times(const void* fetched, Communication& to) {
  for (int i = kNoBucket; i < std::ssize(to.buckets); ++i) {
    const ExchangeClock::Times& times = ExchangeClock::of(i, fetched);
    const double exposed = 1e-9 * static_cast<double>(times.exposed), busy = 1e-9 * static_cast<double>(times.busy);
    to.exposed_seconds += exposed;
    to.busy_seconds += busy;
    if (i == kNoBucket) continue;
    to.buckets[static_cast<size_t>(i)].exposed_seconds = exposed;
    to.buckets[static_cast<size_t>(i)].busy_seconds = busy;
  }
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
      parameters_(model_.graph, device_.allocator(), backend.communicator->allocator(), shadow_dtype(backend),
                  options.buckets.dtype == Dtype::kBF16 && backend.communicator->size() > 1, options.buckets.sharded),
      buckets_(options.buckets),
      upload_(device_, sizeof(StepScalars)),
      controls_(device_, kControlSize * sizeof(float)),
      courses_(make_courses(options)),
      course_(courses_.front().get()),
      evaluation_program_(
          model_.graph, parameters_, *backend.kernels,
          {Mode::kEval, backend.precision, options.keeps_logits ? std::vector{model_.logits} : std::vector<ValueId>{}}),
      pixels_(device_.allocator(), most_bytes("image")),
      targets_(device_.allocator(), most_bytes("target")),
      class_weights_(device_.allocator(), static_cast<int64_t>(model_.class_weights.size() * sizeof(float))),
      teacher_logits_(device_.allocator(), teacher() == nullptr ? 0 : most_bytes("teacher")),
      inputs_(device_, pixels_.bytes() + targets_.bytes()),
      arena_(device_.allocator(),
             std::max({training_memory().arena_bytes, evaluation_program_.memory().arena_bytes, int64_t{1}})),
      shards_(share_updates(course_->program.plan(), parameters_, buckets_, *backend.communicator)) {
  if (class_weights_.bytes() > 0) {
    device_.copy(class_weights_.data(), model_.class_weights.data(), class_weights_.bytes(), device_.compute());
  }
  if (device_.runs_ahead() && backend.communicator->size() > 1) {
    size_t buckets = 0;
    for (const auto& course : courses_)
      buckets = std::max(buckets, cut_buckets(course->program.plan(), parameters_, buckets_).size());
    clock_.emplace(device_, *backend.ops, buckets);
    times_.emplace(device_, clock_->times().bytes());
  }
  for (const std::unique_ptr<Course>& course : courses_) {
    const auto shards = share_updates(course->program.plan(), parameters_, buckets_, *backend.communicator);
    CHECK(shards == shards_, "ranks would own other parts for images of another size");
    bind(course->program, course->graph);
    make_passes(*course);
  }
  bind(evaluation_program_, model_.graph);
  evaluation_.plan = evaluation_program_.plan();
  evaluation_.plan.insert(0, named_step("clear control", [this] {
                            backend_.ops->clear(parameters_.control(), kControlSize, device_.compute());
                          }));
  make_runner(evaluation_);
  if (!options.keeps_logits) return;
  const int64_t bytes = int64_t{rows()} * classes() * size_of(Dtype::kF32);
  logits_ = Buffer(device_.allocator(), bytes);
  logits_on_host_ = Buffer(device_.host_allocator(), bytes);
  targets_on_host_ = Buffer(device_.host_allocator(), input_type(model_.graph, "target").bytes());
}

std::vector<std::unique_ptr<Replica::Course>> Replica::make_courses(const ReplicaOptions& options) {
  std::vector<std::unique_ptr<Course>> courses;
  for (const TrainedOn& shape : options.shapes) {
    const Graph& graph = shape.graph(model_);
    courses.push_back(std::make_unique<Course>(
        Course{shape, graph,
               Program(graph, parameters_, *backend_.kernels, training_options(graph, backend_.precision, options))}));
  }
  CHECK(!courses.empty(), "nothing to train on");
  return courses;
}

int64_t Replica::most_bytes(std::string_view input) const {
  int64_t most = 0;
  if (input != "teacher") most = input_type(model_.graph, input).bytes();  // evaluation
  for (const auto& course : courses_) most = std::max(most, input_type(course->graph, input).bytes());
  return most;
}

const MemoryPlan& Replica::training_memory() const {
  const auto bytes = [](const auto& course) { return course->program.memory().arena_bytes; };
  return (*std::ranges::max_element(courses_, {}, bytes))->program.memory();
}

void Replica::bind(Program& program, const Graph& graph) {
  const std::map<std::string_view, void*> memory = {{"image", pixels_.data()},
                                                    {"target", targets_.data()},
                                                    {"class_weights", class_weights_.data()},
                                                    {"teacher", teacher_logits_.data()}};
  std::map<std::string, Tensor> inputs;
  for (const Graph::Input& input : graph.inputs()) inputs[input.name] = {memory.at(input.name), input.type};
  program.bind(arena_.data(), parameters_, inputs, device_scalars(), device_.compute());
}

void Replica::make_passes(Course& course) {
  const auto make = [&](PassPosition position) {
    Pass& pass = course.at(position);
    pass.plan = make_pass(course.program.plan(), position, parameters_, executors(), buckets_);
    if (position.first)
      insert_requests(pass.plan, device_scalars(), parameters_.control(), *backend_.ops, device_.compute());
    ask_teacher(course, pass.plan);
    make_runner(pass);
  };
  if (course.of.passes.least == 1) make({.first = true, .last = true});
  if (course.of.passes.most >= 2) make({.first = true, .last = false});
  if (course.of.passes.most >= 3) make({.first = false, .last = false});
  if (course.of.passes.most >= 2) make({.first = false, .last = true});
}

// In front of what learns from it.
void Replica::ask_teacher(const Course& course, Plan& plan) {
  if (course.of.teacher != nullptr) course.of.teacher->prepend_to(plan, pixels_.data(), teacher_logits_.as<float>());
}

std::string Replica::first_nonfinite_step() {
  Plan plan = course_->program.plan();
  ask_teacher(*course_, plan);
  return plan.run_checked(device_);
}

void Replica::train_on(const Shape& images) {
  const auto takes = [&](const auto& course) { return input_type(course->graph, "image").shape == images; };
  const auto found = std::ranges::find_if(courses_, takes);
  CHECK(found != courses_.end(), "nothing was made for images " + to_string(images));
  course_ = found->get();
  // A runner captures what it runs for the second time.  Ranks must do that in the same step, as captured work waits
  // for that of other ranks, but have not run passes of each kind equally often: all start anew.
  for (auto& row : course_->passes) {
    for (Pass& pass : row) make_runner(pass);
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

void Replica::forget_rounding() {
  if (!buckets_.error_feedback) return;
  backend_.ops->clear(parameters_.rounded_off(), parameters_.trainable_elements(), device_.compute());
}

void Replica::add_update(Optimizer& optimizer, WeightAverage* average) {
  for (const auto& course : courses_) {
    for (const bool first : {false, true}) {
      Plan& plan = course->at({.first = first, .last = true}).plan;
      if (plan.steps().empty()) continue;  // no step has so many micro-batches
      append_update(plan, buckets_, shards_, optimizer, parameters_, device_scalars(), executors());
      if (average == nullptr) continue;
      Step step =
          named_step("average", [this, average] { average->step(parameters_, device_scalars(), device_.compute()); });
      step.bytes = 3 * (average->value_elements() + average->state_elements()) * size_of(Dtype::kF32);
      plan.append(std::move(step));
    }
  }
  if (buckets_.averages()) make_averaging(optimizer, average);
}

void Replica::make_averaging(Optimizer& optimizer, WeightAverage* average) {
  const auto flat = [](float* data, int64_t elements) { return Tensor{data, {{1, 1, 1, static_cast<int>(elements)}}}; };
  const int64_t trainable = parameters_.trainable_elements();
  std::vector<Tensor> updated{flat(parameters_.values(), trainable)};
  for (const Optimizer::State& state : optimizer.state()) updated.push_back(flat(state.data, trainable));
  if (average != nullptr) updated.push_back(flat(average->values(), average->value_elements()));
  averaging_ = convoy::average_over_ranks(updated, executors());
}

void Replica::average_over_ranks() {
  if (!averaging_) return;
  PlanRunner runner(*averaging_, device_, false);
  run_and_follow(*averaging_, runner);
  values_changed();
}

void Replica::gather(float* flat) {
  Plan plan;
  append_gathers(plan, flat, shards_, {*backend_.ops, device_.compute(), *backend_.communicator});
  plan.run();
}

void Replica::load(std::span<const uint8_t> pixels, std::span<const Target> targets) {
  const auto pixel_bytes = static_cast<int64_t>(pixels.size_bytes());
  const auto target_bytes = static_cast<int64_t>(targets.size_bytes());
  const auto fits = [&](const Graph& graph) {
    return pixel_bytes == input_type(graph, "image").bytes() && target_bytes == input_type(graph, "target").bytes();
  };
  CHECK(fits(course_->graph) || fits(model_.graph));
  inputs_.load({{pixels_.data(), pixels.data(), pixel_bytes}, {targets_.data(), targets.data(), target_bytes}});
}

void Replica::fetch_control() {
  controls_.fetch(parameters_.control());
  if (times_) times_->fetch(clock_->times().data());
  fetched_.push_back(communication_);
}

const float* Replica::take_control() {
  const void* control = controls_.take();
  backend_.communicator->progress();
  taken_ = std::move(fetched_.front());
  fetched_.pop_front();
  if (times_) add_times(times_->take(), taken_);
  return static_cast<const float*>(control);
}

void Replica::run(PassPosition position) {
  const Pass& pass = course_->at(position);
  upload_.send(&scalars_);
  if (position.first) communication_ = {};
  run_and_follow(pass.plan, *pass.runner);
}

void Replica::run_and_follow(const Plan& plan, PlanRunner& runner) {
  std::vector<double> seconds;
  if (device_.runs_ahead()) {
    runner.run();
  } else {
    runner.run_timed(seconds);
  }
  follow_communication(plan, seconds);
}

// Of a plan that was run.  What it gave to the communicator are the last that ended there.  Where the device runs
// ahead, times are not known yet.
void Replica::follow_communication(const Plan& plan, const std::vector<double>& seconds) {
  const std::vector<double> times = backend_.communicator->take_busy_seconds();
  const auto given = std::ranges::count_if(plan.steps(), &Step::communicates);
  auto time = times.end() - std::min<int64_t>(given, std::ssize(times));
  for (size_t i = 0; i < plan.steps().size(); ++i) {
    const Step& step = plan.steps()[i];
    const double exposed = step.waits && !seconds.empty() ? seconds[i] : 0;
    const double busy = step.communicates && time != times.end() ? *time++ : 0;
    const int64_t bytes = step.communicates ? step.bytes : 0;
    communication_.exposed_seconds += exposed;
    communication_.busy_seconds += busy;
    communication_.bytes += bytes;
    if (step.bucket == kNoBucket) continue;
    const auto number = static_cast<size_t>(step.bucket);
    communication_.buckets.resize(std::max(communication_.buckets.size(), number + 1));
    Communication::Bucket& bucket = communication_.buckets[number];
    bucket.bytes += bytes;
    bucket.exposed_seconds += exposed;
    bucket.busy_seconds += busy;
  }
}

Executors Replica::executors() const {
  return {*backend_.ops, device_.compute(), *backend_.communicator, clock_ ? &*clock_ : nullptr};
}

void Replica::run_timed(PassPosition position, std::vector<double>& seconds) {
  upload_.send(&scalars_);
  course_->at(position).runner->run_timed(seconds);
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
  device_.copy(targets_on_host_.data(), targets_.data(), targets_on_host_.bytes(), compute);
  compute.synchronize();
  return {{logits_on_host_.as<float>(), static_cast<size_t>(elements)},
          {targets_on_host_.as<Target>(), static_cast<size_t>(rows())}};
}

}  // namespace convoy
