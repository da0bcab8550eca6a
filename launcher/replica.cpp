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

// What this rank asks of all ranks travels in the control block: written right behind the step that clears it.
void insert_requests(Plan& plan, const StepScalars* scalars, float* control, FlatOps& ops, Stream& compute) {
  static_assert(kSaveRequested == kStopRequested + 1 && kInterrupted == kStopRequested + 2);
  Step step;
  step.name = "requests";
  step.run = [=, &ops, &compute] { ops.copy(control + kStopRequested, scalars->requests, 3, compute); };
  plan.insert(1, std::move(step));
}

}  // namespace

Replica::Replica(Model model, Device& device, Communicator& communicator, const KernelFactory& kernels, FlatOps& ops,
                 const ReplicaOptions& options)
    : model_(std::move(model)),
      device_(device),
      ops_(ops),
      parameters_(model_.graph, device.allocator(), communicator.allocator()),
      scalars_(device.allocator(), sizeof(StepScalars)),
      pixels_(device.allocator(), input_type(model_.graph, "image").bytes()),
      labels_(device.allocator(), input_type(model_.graph, "label").bytes()),
      training_program_(model_.graph, parameters_, kernels, {Mode::kTrain, options.compute, {}}),
      evaluation_program_(model_.graph, parameters_, kernels, {Mode::kEval, options.compute, {}}),
      arena_(device.allocator(),
             std::max({training_program_.memory().arena_bytes, evaluation_program_.memory().arena_bytes, int64_t{1}})) {
  const std::map<std::string, Tensor> inputs = {
      {"image", {pixels_.data(), input_type(model_.graph, "image")}},
      {"label", {labels_.data(), input_type(model_.graph, "label")}},
  };
  const StepScalars* scalars = new (scalars_.data()) StepScalars;  // host memory until there is a GPU
  training_program_.bind(arena_.data(), parameters_, inputs, scalars, device.compute());
  evaluation_program_.bind(arena_.data(), parameters_, inputs, scalars, device.compute());
  for (int i = 0; i < std::min(options.passes, 3); ++i) {  // first, middle, last: those that this rank has
    const PassPosition position{i == 0, i == std::min(options.passes, 3) - 1};
    Plan& plan = passes_[position.first ? 1 : 0][position.last ? 1 : 0];
    plan = make_pass(training_program_.plan(), position, parameters_, ops, device.compute(), communicator,
                     options.buckets);
    if (position.first) insert_requests(plan, scalars, parameters_.control(), ops, device.compute());
  }
  evaluation_ = evaluation_program_.plan();
}

void Replica::load(std::span<const uint8_t> pixels, std::span<const int32_t> labels) {
  CHECK(static_cast<int64_t>(pixels.size_bytes()) == pixels_.bytes() &&
        static_cast<int64_t>(labels.size_bytes()) == labels_.bytes());
  device_.copy(pixels_.data(), pixels.data(), pixels_.bytes(), device_.compute());
  device_.copy(labels_.data(), labels.data(), labels_.bytes(), device_.compute());
}

double Replica::run(PassPosition position) {
  const Plan& plan = pass(position);
  seconds_.assign(plan.steps().size(), 0);
  plan.run_timed(seconds_);
  return plan.steps().back().name == kJoinStep ? seconds_.back() : 0;
}

void Replica::clear_control() { ops_.clear(parameters_.control(), kControlSize, device_.compute()); }

}  // namespace convoy
