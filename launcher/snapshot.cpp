#include "launcher/snapshot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <nlohmann/json.hpp>

#include "core/io/limited_json.h"
#include "launcher/evaluation.h"

namespace convoy {
namespace {

using nlohmann::json;

// Keys of the metadata of state.safetensors.
constexpr const char* kWatchers = "convoy.watchers";
constexpr const char* kBest = "convoy.best";

constexpr size_t kModel = 2;  // of a snapshot's parts: values, state

// [O,H,W,I]; a vector as [k].
std::vector<int64_t> dims_of(const Shape& shape) {
  if (shape.n == 1 && shape.h == 1 && shape.w == 1) return {shape.c};
  return {shape.n, shape.h, shape.w, shape.c};
}

NamedTensor named(std::string name, const Shape& shape, const float* data) {
  const auto bytes = static_cast<size_t>(shape.elements()) * sizeof(float);
  return {std::move(name), StoredType::kF32, dims_of(shape), {reinterpret_cast<const std::byte*>(data), bytes}};
}

// Copies each of `tensors`, views of our own memory, from the tensor of that name in `file`.
void restore(const SafetensorsFile& file, const std::vector<NamedTensor>& tensors) {
  std::set<std::string> known;
  for (const NamedTensor& to : tensors) {
    const NamedTensor& from = file.get(to.name, to.type, to.dims);
    std::memcpy(const_cast<std::byte*>(to.bytes.data()), from.bytes.data(), from.bytes.size());
    known.insert(to.name);
  }
  for (const NamedTensor& tensor : file.tensors()) {
    if (known.contains(tensor.name)) continue;
    throw Error(ExitCode::kBadData, file.name() + ": '" + tensor.name + "' belongs to another network or optimizer");
  }
}

// Likewise from elements by name.
void set(const std::map<std::string, std::vector<float>>& elements, const std::vector<NamedTensor>& tensors) {
  for (const auto& [name, values] : elements) {
    const auto to = std::ranges::find(tensors, name, &NamedTensor::name);
    CHECK(to != tensors.end() && to->bytes.size() == values.size() * sizeof(float), name);
    std::memcpy(const_cast<std::byte*>(to->bytes.data()), values.data(), to->bytes.size());
  }
}

}  // namespace

Snapshot::Snapshot(Replica& replica, Optimizer* optimizer, Backend& backend, WeightAverage* average)
    : replica_(replica),
      parameters_(replica.parameters()),
      optimizer_(optimizer),
      backend_(backend),
      average_(average) {
  add(parameters_.values(), parameters_.value_elements());
  add(parameters_.state(), parameters_.state_elements());
  if (optimizer == nullptr) return;
  for (const Optimizer::State& state : optimizer->state()) {
    const bool sharded = replica.is_sharded();
    add(sharded ? parameters_.gradients() : state.data, parameters_.trainable_elements(),
        sharded ? state.data : nullptr);
  }
  add(&parameters_.loss_scale()->scale, sizeof(LossScale) / sizeof(float));
  if (average == nullptr) return;
  add(average->values(), average->value_elements());
  add(average->state(), average->state_elements());
}

void Snapshot::add(float* on_device, int64_t elements, float* shards) {
  parts_.push_back({on_device, elements, shards, {}});
}

template <class Copy>
void Snapshot::for_each_shard(const Part& part, Copy copy) const {
  float* shard = part.shards;
  for (const auto& [begin, end] : parameters_.own().parts) {
    copy(part.on_device + begin, shard, end - begin);
    shard += end - begin;
  }
}

void Snapshot::reserve() {
  if (!leads()) return;
  for (Part& part : parts_) reserve(part);
}

void Snapshot::reserve(Part& part) {
  if (part.copy.data() != nullptr) return;
  part.copy = Buffer(backend_.device->host_allocator(), part.elements * size_of(Dtype::kF32));
}

void Snapshot::take() {
  for (Part& part : parts_) {
    if (part.shards != nullptr) {
      for_each_shard(part, [&](float* in_whole, float* shard, int64_t elements) {
        backend_.ops->copy(in_whole, shard, elements, backend_.device->compute());
      });
      replica_.gather(part.on_device);
    }
    if (leads()) copy_from(part);
  }
  finish();
}

void Snapshot::put() {
  for (const Part& part : parts_) {
    if (leads()) {
      backend_.device->copy(part.on_device, part.copy.data(), part.copy.bytes(), backend_.device->compute());
    }
    broadcast(part);
    if (part.shards != nullptr) {
      for_each_shard(part, [&](float* in_whole, float* shard, int64_t elements) {
        backend_.ops->copy(shard, in_whole, elements, backend_.device->compute());
      });
    }
  }
  finish();
  for (Part& part : parts_) part.copy = {};
}

void Snapshot::take_model() {
  for (size_t i = 0; i < kModel; ++i) copy_from(parts_[i]);
  backend_.device->compute().synchronize();
}

void Snapshot::copy_from(Part& part) {
  reserve(part);
  backend_.device->copy(part.copy.data(), part.on_device, part.copy.bytes(), backend_.device->compute());
}

// From rank 0.
void Snapshot::broadcast(const Part& part) {
  if (part.elements == 0) return;
  Communicator& communicator = *backend_.communicator;
  communicator.stream().wait_for(backend_.device->compute());
  communicator.broadcast({part.on_device, {{1, 1, 1, static_cast<int>(part.elements)}}}, 0);
  communicator.stream().synchronize();
}

// The gradients were scratch, and those of parameters that no loss reads must be zero.
void Snapshot::finish() {
  Stream& compute = backend_.device->compute();
  if (replica_.is_sharded()) {
    backend_.ops->clear(parameters_.gradients(), parameters_.trainable_elements(), compute);
  }
  compute.synchronize();
  backend_.communicator->stream().synchronize();  // which hears of what ended the communication
}

bool Snapshot::finite() const {
  for (size_t i = 0; i < kModel; ++i) {
    const auto* begin = parts_[i].copy.as<float>();
    if (!std::all_of(begin, begin + parts_[i].copy.bytes() / size_of(Dtype::kF32),
                     [](float x) { return std::isfinite(x); })) {
      return false;
    }
  }
  return true;
}

void Snapshot::restore_model(const Checkpoint& checkpoint) { restore(checkpoint.model, model_tensors()); }
void Snapshot::restore_optimizer(const Checkpoint& checkpoint) { restore(checkpoint.optimizer, optimizer_tensors()); }
void Snapshot::restore_average(const Checkpoint& checkpoint) { restore(checkpoint.state, average_tensors()); }

void Snapshot::set_model(const std::map<std::string, std::vector<float>>& elements) { set(elements, model_tensors()); }
void Snapshot::set_optimizer(const std::map<std::string, std::vector<float>>& elements) {
  set(elements, optimizer_tensors());
}

std::vector<NamedTensor> Snapshot::model_tensors() const {
  const float* values = parts_[0].copy.as<float>();
  const float* state = parts_[1].copy.as<float>();
  std::vector<NamedTensor> tensors;
  for (const ParameterSlot& slot : parameters_.slots()) {
    tensors.push_back(named(slot.name, slot.shape, values + slot.offset));
  }
  for (const StateSlot& slot : parameters_.state_slots()) {
    tensors.push_back(named(slot.name, slot.shape, state + slot.offset));
  }
  return tensors;
}

std::vector<NamedTensor> Snapshot::optimizer_tensors() const {
  CHECK(optimizer_ != nullptr);
  std::vector<NamedTensor> tensors;
  size_t part = 2;
  for (const Optimizer::State& state : optimizer_->state()) {
    const float* copy = parts_[part++].copy.as<float>();
    for (const ParameterSlot& slot : parameters_.slots()) {
      if (slot.trainable) tensors.push_back(named(slot.name + "." + state.name, slot.shape, copy + slot.offset));
    }
  }
  if (optimizer_->scales_loss()) {
    static_assert(sizeof(LossScale) == 2 * sizeof(float));
    tensors.push_back(named("loss_scale", {1, 1, 1, 2}, parts_[part].copy.as<float>()));
  }
  return tensors;
}

std::vector<NamedTensor> Snapshot::average_tensors() const {
  std::vector<NamedTensor> tensors;
  if (average_ == nullptr) return tensors;
  const float* values = parts_[parts_.size() - 2].copy.as<float>();
  const float* state = parts_.back().copy.as<float>();
  for (const ParameterSlot& slot : parameters_.slots()) {
    if (slot.trainable)
      tensors.push_back(named(slot.name + std::string(kAverageEnding), slot.shape, values + slot.offset));
  }
  for (const StateSlot& slot : parameters_.state_slots()) {
    if (slot.momentum != 0)
      tensors.push_back(named(slot.name + std::string(kAverageEnding), slot.shape, state + slot.offset));
  }
  return tensors;
}

CheckpointContents Checkpointer::contents(const Moment& moment) const {
  if (!snapshot_.finite()) throw Error(ExitCode::kNonFinite, "a weight or a running statistic is not finite");
  CheckpointContents contents{
      run_, snapshot_.model_tensors(), snapshot_.optimizer_tensors(), snapshot_.average_tensors(), model_, optimizer_};
  contents.manifest.step = moment.step;
  contents.manifest.epoch = moment.epoch;
  contents.manifest.samples_in_epoch = moment.samples_in_epoch;
  if (!moment.watchers.empty()) contents.state_metadata[kWatchers] = moment.watchers;
  return contents;
}

void Checkpointer::save(const Moment& moment) {
  save_checkpoint(files_, keep_.root, contents(moment));
  prune_checkpoints(files_, keep_.root, keep_.newest);
}

void Checkpointer::find_best(const Warn& warn) {
  if (!keep_.best) return;
  try {
    const std::optional<Checkpoint> found = find_newest_valid(files_, keep_.best_root, warn);
    if (!found) return;
    const auto saved = found->state.metadata().find(kBest);
    if (saved == found->state.metadata().end()) return;
    const json best = parse_limited_json(saved->second, found->path);
    if (best.at("metric").get<Metric>() == *keep_.best) best_ = best.at("value").get<double>();
  } catch (const std::exception& error) {  // the next evaluation is the best then
    warn(std::string("best checkpoint: ") + error.what());
  }
}

bool Checkpointer::is_best(const Evaluation& evaluation) const {
  return keep_.best && is_better(*keep_.best, value_of(*keep_.best, evaluation), best_);
}

std::string Checkpointer::save_best(const Moment& moment, const Evaluation& evaluation) {
  const double value = value_of(*keep_.best, evaluation);
  CheckpointContents best = contents(moment);
  best.state_metadata[kBest] = json{{"metric", *keep_.best}, {"value", value}}.dump();
  remove_checkpoint(files_, keep_.best_root, moment.step);  // of an earlier life
  const std::string path = save_checkpoint(files_, keep_.best_root, best);
  keep_only_checkpoint(files_, keep_.best_root, moment.step);
  best_ = value;
  return path;
}

const std::string* watchers_of(const Checkpoint& checkpoint) {
  const auto found = checkpoint.state.metadata().find(kWatchers);
  return found == checkpoint.state.metadata().end() ? nullptr : &found->second;
}

void require_same_cursor(const Manifest& saved, const Manifest& now, const std::string& path) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ExitCode::kConfig, path + ": cannot go on from here: " + what + kOtherSettings);
  };
  if (saved.global_batch != now.global_batch) {
    refuse("it counts steps of " + std::to_string(saved.global_batch) + " rows, batch.global is " +
           std::to_string(now.global_batch));
  }
  if (saved.seed != now.seed) {
    refuse("its seed is " + std::to_string(saved.seed) + ", experiment.seed is " + std::to_string(now.seed));
  }
  if (saved.data_hash != now.data_hash) refuse("the training data are not those that it was trained on");
}

std::string bitwise_obstacle(const Manifest& saved, const Manifest& now) {
  std::string text;
  const auto differs = [&](const std::string& what, const std::string& before, const std::string& after) {
    if (before != after) text += (text.empty() ? "" : ", ") + what + " was " + before + ", is " + after;
  };
  differs("ranks", std::to_string(saved.world), std::to_string(now.world));
  differs("batch.micro", std::to_string(saved.micro_batch), std::to_string(now.micro_batch));
  for (const auto& [name, value] : now.facts) {
    const auto found = saved.facts.find(name);
    differs(name, found == saved.facts.end() ? "unknown" : found->second, value);
  }
  if (saved.config_hash != now.config_hash) text += std::string(text.empty() ? "" : ", ") + "other settings changed";
  return text;
}

}  // namespace convoy
