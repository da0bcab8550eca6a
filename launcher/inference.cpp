#include "launcher/inference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "launcher/exchange/fold.h"
#include "layers/rewrite.h"

namespace convoy {
namespace {

using Weights = std::map<std::string, std::vector<float>>;

// Pixels go through `normalize`, which has what the preprocessing says.
DataConfig data_of(const Network& network, bool pixels) {
  DataConfig data;
  if (!pixels) return data;
  if (!network.preprocessing) {
    throw Error(ExitCode::kUsage, network.config.name + ": does not say how an image becomes its input");
  }
  data.mean = network.preprocessing->mean;
  data.std = network.preprocessing->std;
  if (network.preprocessing->bgr) data.channel_order = ChannelOrder::kBgr;
  return data;
}

// The network for a batch.  `weights` are those of the network as it is stored, and become those of the graph.
Model inference_model(const Network& network, const InferenceOptions& options, Weights& weights) {
  Model model = build_model(network.config, data_of(network, options.pixels), network.sample,
                            {.rows = options.rows, .training = false, .normalize = options.pixels, .rewrite = false});
  if (options.fold) fold_batch_norm(model.graph, weights, model.logits);
  rewrite_for_inference(model.graph, model.logits);
  for (int i = 0; i < static_cast<int>(model.graph.nodes().size()); ++i) model.graph.freeze(i);
  return model;
}

Dtype precision_of(const Backend& backend, const InferenceOptions& options) {
  return options.pixels ? backend.precision : Dtype::kF32;
}

// The GPU's kernels read 16-bit weights as they are; the CPU's make their own copies, in layouts of their own.
Dtype shadow_dtype(const Backend& backend, const InferenceOptions& options) {
  return backend.device->kind() == DeviceKind::kCuda ? precision_of(backend, options) : Dtype::kF32;
}

}  // namespace

Inference::Inference(const Network& network, Backend& backend, const InferenceOptions& options)
    : Inference(network, network.weights, backend, options) {}

Inference::Inference(const Network& network, Weights weights, Backend& backend, const InferenceOptions& options)
    : Inference(network, inference_model(network, options, weights), weights, backend, options) {}

Inference::Inference(const Network& network, const Model& model, const Weights& weights, Backend& backend,
                     const InferenceOptions& options)
    : backend_(backend),
      device_(*backend.device),
      sample_(network.sample),
      classes_(model.graph.shape(model.logits).c),
      parameters_(model.graph, device_.allocator(), device_.allocator(), shadow_dtype(backend, options)) {
  load(weights);
  const ValueType& image = model.graph.inputs().front().type;
  program_.emplace(model.graph, parameters_, *backend.kernels,
                   ProgramOptions{.mode = Mode::kEval,
                                  .compute = precision_of(backend, options),
                                  .keep = {model.logits},
                                  .constant_parameters = true});
  arena_ = Buffer(device_.allocator(), std::max<int64_t>(program_->memory().arena_bytes, 1));
  scalars_ = Buffer(device_.allocator(), sizeof(StepScalars));
  input_memory_ = Buffer(device_.allocator(), image.bytes());
  staging_ = Buffer(device_.host_allocator(), image.bytes());
  const int64_t logits = int64_t{options.rows} * classes_ * size_of(Dtype::kF32);
  logits_memory_ = Buffer(device_.allocator(), logits);
  results_ = Buffer(device_.host_allocator(), logits);
  input_ = {input_memory_.data(), image};
  program_->bind(arena_.data(), parameters_, {{"image", input_}}, scalars_.as<StepScalars>(), device_.compute());
  plan_ = program_->plan();
  runner_ = std::make_unique<PlanRunner>(plan_, device_, true);
  logits_ = program_->value(model.logits);
}

void Inference::load(const Weights& weights) {
  const auto put = [&](const std::string& name, const Tensor& place) {
    const auto found = weights.find(name);
    CHECK(found != weights.end() && static_cast<int64_t>(found->second.size()) == place.type.shape.elements(), name);
    device_.copy(place.data, found->second.data(), place.type.bytes(), device_.compute());
  };
  for (const ParameterSlot& slot : parameters_.slots()) put(slot.name, parameters_.value(slot));
  for (const StateSlot& slot : parameters_.state_slots()) put(slot.name, parameters_.state(slot));
  if (parameters_.shadow() != nullptr) {
    backend_.ops->convert(parameters_.shadow(), parameters_.shadow_dtype(), parameters_.values(), Dtype::kF32,
                          parameters_.value_elements(), device_.compute());
  }
  device_.compute().synchronize();
}

std::span<const float> Inference::run(std::span<const uint8_t> pixels) {
  CHECK(input_.type.dtype == Dtype::kU8);
  const auto bytes = static_cast<int64_t>(pixels.size());
  CHECK(bytes % sample_.elements() == 0 && bytes <= staging_.bytes());
  std::memcpy(staging_.data(), pixels.data(), pixels.size());
  return run_staged(bytes / sample_.elements());
}

std::span<const float> Inference::run(std::span<const float> values) {
  CHECK(input_.type.dtype == Dtype::kF32);
  const auto elements = static_cast<int64_t>(values.size());
  CHECK(elements % sample_.elements() == 0 && elements * size_of(Dtype::kF32) <= staging_.bytes());
  std::memcpy(staging_.data(), values.data(), values.size_bytes());
  return run_staged(elements / sample_.elements());
}

std::span<const float> Inference::run_staged(int64_t images) {
  const int64_t used = images * sample_.elements() * size_of(input_.type.dtype);
  std::memset(staging_.as<std::byte>() + used, 0, static_cast<size_t>(staging_.bytes() - used));
  Stream& compute = device_.compute();
  device_.copy(input_.data, staging_.data(), staging_.bytes(), compute);
  runner_->run();
  const int64_t elements = logits_.type.shape.elements();
  const void* logits = logits_.data;
  if (logits_.type.dtype != Dtype::kF32) {
    backend_.ops->convert(logits_memory_.data(), Dtype::kF32, logits, logits_.type.dtype, elements, compute);
    logits = logits_memory_.data();
  }
  device_.copy(results_.data(), logits, results_.bytes(), compute);
  compute.synchronize();
  return {results_.as<float>(), static_cast<size_t>(images * classes_)};
}

int64_t Inference::bytes() const {
  const int64_t shadow = parameters_.shadow() == nullptr ? 0 : size_of(parameters_.shadow_dtype());
  return parameters_.value_elements() * (size_of(Dtype::kF32) + shadow) +
         parameters_.state_elements() * size_of(Dtype::kF32) + arena_.bytes() + input_memory_.bytes() +
         logits_memory_.bytes();
}

void softmax(std::span<const float> logits, std::vector<double>& probabilities) {
  const double largest = logits.empty() ? 0 : double{*std::ranges::max_element(logits)};
  double sum = 0;
  probabilities.clear();
  for (const float logit : logits) sum += probabilities.emplace_back(std::exp(double{logit} - largest));
  for (double& probability : probabilities) probability /= sum;
}

}  // namespace convoy
