#include "launcher/teacher.h"

#include "core/base/hash.h"
#include "launcher/config/parts.h"
#include "launcher/config/values.h"
#include "launcher/exchange/open_network.h"
#include "launcher/fetch.h"

namespace convoy {
namespace {

// "32x32x3"
std::string shape_text(const std::array<int, 3>& shape) {
  return std::to_string(shape[0]) + "x" + std::to_string(shape[1]) + "x" + std::to_string(shape[2]);
}

OpenedNetwork open_teacher(const TeacherConfig& config, const ForeignModel& file, const Shape& images) {
  const auto refuse = [&](const std::string& what) {
    config_error(config.where, "loss.teacher", config.file + ": " + what);
  };
  const std::array wanted = {images.h, images.w, images.c};
  if (file.model.empty() && !config.model) {
    refuse("holds weights only (" + file.format + "); say of which network with loss.teacher.model");
  }
  if (!file.preprocessing && !config.preprocessing) {
    refuse("does not say how an image becomes its input; say so with loss.teacher.preprocessing");
  }
  try {
    return open_network(
        file,
        {.model_file = config.model.value_or(""), .shape = wanted, .preprocessing = config.preprocessing.value_or("")});
  } catch (const Error& error) {
    const bool of_the_experiment = error.code() == ExitCode::kUsage || error.code() == ExitCode::kConfig;
    if (of_the_experiment) config_error(config.where, "loss.teacher", error.what());
    if (!file.shape || *file.shape == wanted) throw;
    config_error(config.where, "loss.teacher",
                 config.file + ": is for images of " + shape_text(*file.shape) + ", not of " + shape_text(wanted) +
                     ": " + error.what());
  }
}

std::string hash_of(const Network& network) {
  ModelConfig config = network.config;
  config.name.clear();  // perhaps that of the file
  std::string text = show(config) + to_json(*network.preprocessing);
  for (const auto& [name, values] : network.weights) text += name + hash128_hex(std::as_bytes(std::span(values)));
  return hash128_hex(text);
}

Step named(const char* name, std::function<void()> run) {
  Step step;
  step.name = name;
  step.run = std::move(run);
  return step;
}

}  // namespace

ForeignModel read_teacher(const TeacherConfig& config, const Hdf5Options& hdf5) {
  try {
    return read_model_file(config.file, hdf5);
  } catch (const Error& error) {
    throw with_fetch_advice(error, config.file);
  }
}

Teacher::Teacher(const TeacherConfig& config, const ForeignModel& file, int classes, const Shape& images,
                 Backend& backend)
    : backend_(backend) {
  const OpenedNetwork it = open_teacher(config, file, images);
  network_ = std::make_unique<Inference>(it.network, backend, InferenceOptions{.rows = images.n});
  if (network_->classes() != classes) {
    config_error(config.where, "loss.teacher",
                 config.file + ": expected " + std::to_string(classes) +
                     " classes, as the network that learns has, found " + std::to_string(network_->classes()));
  }
  class_names_ = it.network.class_names;
  fingerprint_ = hash_of(it.network);
  text_ = config.file + " (" + it.format + "), weight " + shortest(config.weight) + ", temperature " +
          shortest(config.temperature);
}

void Teacher::prepend_to(Plan& plan, const void* pixels, float* logits) const {
  Device& device = *backend_.device;
  Stream& compute = device.compute();
  const Tensor input = network_->input(), output = network_->logits();
  size_t at = 0;
  plan.insert(at++, named("teacher/images",
                          [=, &device, &compute] { device.copy(input.data, pixels, input.type.bytes(), compute); }));
  for (Step step : network_->plan().steps()) {
    step.name = "teacher/" + step.name;
    plan.insert(at++, std::move(step));
  }
  Step last = named("teacher/logits", [=, ops = backend_.ops.get(), &compute] {
    ops->convert(logits, Dtype::kF32, output.data, output.type.dtype, output.type.shape.elements(), compute);
  });
  last.outputs = {{logits, {output.type.shape, Dtype::kF32}}};
  plan.insert(at, std::move(last));
}

}  // namespace convoy
