#include "launcher/memory_needs.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "core/train/weight_average.h"
#include "launcher/setup.h"

namespace convoy {

std::string mib_text(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

std::string to_text(const MemoryNeeds& needs) {
  std::vector<std::pair<int64_t, const char*>> parts = {
      {needs.activations, "activations"},  {needs.parameters, "parameters"},
      {needs.gradients, "gradients"},      {needs.accumulated, "accumulated gradients"},
      {needs.optimizer, "the optimizer"},  {needs.scratch, "the optimizer's scratch"},
      {needs.average, "averaged weights"}, {needs.teacher, "the teacher"},
  };
  std::ranges::stable_sort(parts, std::greater(), &std::pair<int64_t, const char*>::first);
  std::string text;
  for (const auto& [bytes, name] : parts) {
    if (bytes > 0) text += (text.empty() ? "" : ", ") + mib_text(bytes) + " of " + name;
  }
  return text;
}

void* AddressSpace::allocate(int64_t bytes) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, kFlags, -1, 0);
  if (data == MAP_FAILED) throw Error(ExitCode::kOutOfMemory, "no address space for the parameters");
  return data;
}

void AddressSpace::deallocate(void* data, int64_t bytes) noexcept { munmap(data, static_cast<size_t>(bytes)); }

Blueprint::Blueprint(const Experiment& experiment, const Model& model, Backend& backend, const ReplicaOptions& options)
    : train_(experiment.train),
      travels_as_bf16_(options.buckets.dtype == Dtype::kBF16 && backend.communicator->size() > 1),
      feeds_back_(travels_as_bf16_ && options.buckets.error_feedback),
      parameters_(model.graph, memory_, memory_, shadow_dtype(backend), travels_as_bf16_, options.buckets.sharded),
      evaluation_(model.graph, parameters_, *backend.kernels, {Mode::kEval, backend.precision, {}}) {
  for (const TrainedOn& shape : options.shapes) {
    const Graph& graph = shape.graph(model);
    Program program(graph, parameters_, *backend.kernels, training_options(graph, backend.precision, options));
    if (trained_ == nullptr || program.memory().arena_bytes > training_->memory().arena_bytes) {
      trained_ = &graph;
      training_ = std::make_unique<Program>(std::move(program));
    }
    teacher_bytes_ += shape.teacher == nullptr ? 0 : shape.teacher->bytes();
    most_passes_ = std::max(most_passes_, shape.passes.most);
  }
  share_updates(training_->plan(), parameters_, options.buckets, *backend.communicator);
  optimizer_ = make_optimizer(experiment.optimizer, backend, model.graph, parameters_, memory_);
}

MemoryNeeds Blueprint::needs() const {
  const int64_t each = size_of(Dtype::kF32), trainable = parameters_.trainable_elements();
  const int64_t shadow = parameters_.shadow() == nullptr ? 0 : size_of(parameters_.shadow_dtype());
  const int64_t travelling = travels_as_bf16_ ? size_of(Dtype::kBF16) : 0;
  return {.parameters = parameters_.value_elements() * (each + shadow) + parameters_.state_elements() * each,
          .gradients =
              parameters_.reduced_elements() * each + trainable * travelling + (feeds_back_ ? trainable * each : 0),
          .accumulated = most_passes_ > 1 ? trainable * each : 0,
          .optimizer = std::ssize(optimizer_->state()) * parameters_.own().elements() * each,
          .scratch = optimizer_->scratch_bytes(),
          .average = train_.ema_decay > 0 ? WeightAverage::bytes_for(parameters_) : 0,
          .activations = std::max(training_->memory().arena_bytes, evaluation_.memory().arena_bytes),
          .teacher = teacher_bytes_};
}

void fit_into_memory(const Experiment& experiment, const Model& model, Backend& backend, ReplicaOptions& options) {
  const TrainConfig& train = experiment.train;
  options.recompute = train.recompute == Recompute::kBlocks;
  if (train.memory_mib == 0) return;
  const auto limit = static_cast<int64_t>(train.memory_mib * (1 << 20));
  const MemoryNeeds as_is = Blueprint(experiment, model, backend, options).needs();
  if (as_is.total() <= limit) return;

  std::string text = train.where.text() + ": train.memory_mib: a rank needs " + mib_text(as_is.total()) + ", not " +
                     mib_text(limit) + ": " + to_text(as_is);
  if (!options.recompute) {
    ReplicaOptions recomputed = options;
    recomputed.recompute = true;
    const MemoryNeeds less = Blueprint(experiment, model, backend, recomputed).needs();
    if (train.recompute == Recompute::kAuto && less.total() <= limit) {
      options.recompute = true;
      return;
    }
    text += "; " + mib_text(less.total()) + " with train.recompute: blocks";
  }
  throw Error(ExitCode::kOutOfMemory, text + "; a smaller batch.micro needs less");
}

}  // namespace convoy
