#include "launcher/config/experiment.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "core/data/dataset.h"
#include "launcher/config/blocks.h"
#include "launcher/config/compose.h"
#include "launcher/config/parts.h"
#include "launcher/config/visitors.h"
#include "launcher/exchange/open_network.h"

namespace convoy {
namespace {

constexpr int kLargestDefaultMicro = 32;
constexpr int kMostChannels = 4096;  // of an image

void drop_weights(Node& section) {
  std::erase_if(section.children, [](const Node& child) { return child.key == "weights"; });
}

// The network of a file by somebody else, as a model file; its weights are those to start from.
Node foreign_model(const std::string& file, const Mark& where, const std::string& path, const Hdf5Options& hdf5) {
  const ForeignModel foreign = read_model_file(file, hdf5);
  if (foreign.model.empty()) {
    config_error(
        where, path,
        file + " has weights only; name a model file, and this one as " + path.substr(0, path.rfind('.')) + ".weights");
  }
  Node content = parse_yaml_value(foreign.model, file);  // nobody sees its lines
  unescape_interpolation(content, "model");
  drop_weights(content);
  if (Node* base = content.find("base")) drop_weights(*base);
  Node weights = text_node(std::filesystem::absolute(file).string());
  weights.key = "weights";
  content.children.push_back(std::move(weights));
  return content;
}

Node model_of_file(const std::string& file, const Mark& where, const std::string& path, const Hdf5Options& hdf5) {
  if (names_foreign_model(file)) return foreign_model(file, where, path, hdf5);
  Node content = parse_yaml_file(file, where);
  require_map(content, "model");
  interpolate(content, "model");
  static constexpr std::array<std::string_view, 8> kKeys = {
      "name", "classes", "made_for", "blocks", "zero_init_residual", "base", "layers", "top"};
  refuse_unknown_keys(content, "model", kKeys);
  expand_blocks(content, "model");
  return content;
}

// {config: file} becomes the content of the file; what the experiment says itself stays on top.  `path` is that of the
// section, "model" or "model.base".
void inline_model_file(Node& model, const std::string& path, const Hdf5Options& hdf5) {
  expand_blocks(model, path);
  Node* config = model.find("config");
  if (config == nullptr) return;
  const std::string key = child_path(path, "config");
  const std::string file = resolve_path(to_text(*config, key), config->where);
  Node content = model_of_file(file, config->where, key, hdf5);
  if (content.find("name") == nullptr) {
    Node name = text_node(std::filesystem::path(file).stem().string());
    name.key = "name";
    content.children.push_back(std::move(name));
  }
  std::erase_if(content.children, [](const Node& child) { return child.key == "made_for"; });
  std::erase_if(model.children, [](const Node& child) { return child.key == "config"; });
  for (Node& child : content.children) {
    if (model.find(child.key) == nullptr) model.children.push_back(std::move(child));
  }
}

void complete_model(Experiment& e) {
  ModelConfig& model = e.model;
  require_layers(model);
  if (model.name.empty()) model.name = e.experiment.name;
  if (model.base && model.base->name.empty()) model.base->name = "base";
  if (model.classes == 0) model.classes = e.data.classes;
  if (model.classes < e.data.classes) {
    config_error(model.where, "model.classes",
                 "expected at least data.classes, " + std::to_string(e.data.classes) + ", found " +
                     std::to_string(model.classes));
  }
  substitute_classes(model);
}

void check_exclusive(const Node& tree) {
  for (const auto& [section, one, other] : kExclusive) {
    const Node* map = tree.find(section);
    if (map == nullptr) continue;
    if (map->find(one) != nullptr && map->find(other) != nullptr) {
      config_error(map->find(other)->key_where, child_path(section, other),
                   "excludes " + child_path(section, one) + "; give one of the two");
    }
  }
}

void check_image_bytes(int64_t height, int64_t width, int64_t channels, const Mark& where, const std::string& path) {
  const int64_t bytes = height * width * channels;
  if (bytes <= kMaxImageBytes) return;
  config_error(
      where, path,
      "expected images of at most " + std::to_string(kMaxImageBytes) + " bytes, found " + std::to_string(bytes));
}

void check_shape(const DataConfig& data) {
  const auto [height, width, channels] = *data.shape;
  if (channels > kMostChannels) {
    config_error(data.where, "data.shape",
                 "expected at most " + std::to_string(kMostChannels) + " channels, found " + std::to_string(channels));
  }
  check_image_bytes(height, width, channels, data.where, "data.shape");
}

void check_images(const DataConfig& data) {
  if (const int channels = (*data.shape)[2]; channels != 1 && channels != 3) {
    config_error(data.where, "data.shape", "expected 1 channel (grey) or 3, found " + std::to_string(channels));
  }
  if (data.test_path && data.validation > 0) {
    config_error(data.where, "data.validation", "excludes data.test_path; give one of the two");
  }
  for (const auto& [key, range] : {std::pair("scale", data.crop.scale), std::pair("ratio", data.crop.ratio)}) {
    if (range[0] > range[1]) config_error(data.crop.where, child_path("data.crop", key), "expected [least, most]");
  }
}

// What lies decoded in memory is the same in every epoch; the device itself can only do the cheap augmentations to it.
void check_cache(const DataConfig& data) {
  if (data.format == DataFormat::kImages && data.crop.type == CropType::kRandomResized) {
    config_error(data.where, "data.cache",
                 "decoded crops differ from epoch to epoch; expected crop: {type: centre}, "
                 "or no cache and a file of `convoy data pack --decoded`");
  }
  if (data.cache == DataCache::kRam) return;
  const AugmentConfig& augment = data.augment;
  const bool jitters = augment.brightness > 0 || augment.contrast > 0 || augment.saturation > 0 || augment.hue > 0;
  if (!jitters && augment.rotation == 0 && augment.policy == AugmentPolicy::kNone) return;
  config_error(augment.where, "data.augment",
               "in the memory of the device images are flipped, shifted and erased only; "
               "the rest needs cache: none or ram");
}

void check_data(const DataConfig& data) {
  if (data.shape) check_shape(data);
  const size_t channels =
      data.shape ? static_cast<size_t>((*data.shape)[2]) : std::max(data.mean.size(), data.std.size());
  const auto check = [&](std::string_view key, size_t size) {
    if (size == 1 || size == channels) return;
    config_error(data.where, child_path("data", key),
                 (channels == 1 ? "expected 1 number" : "expected 1 or " + std::to_string(channels) + " numbers") +
                     ", found " + std::to_string(size));
  };
  if (data.augment.cutout > 0 && data.augment.erasing > 0) {
    config_error(data.augment.where, "data.augment.cutout", "excludes data.augment.erasing; give one of the two");
  }
  check("mean", data.mean.size());
  check("std", data.std.size());
  if (data.format == DataFormat::kCifar && data.classes != 10 && data.classes != 100) {
    config_error(data.where, "data.classes", "expected 10 or 100 of CIFAR, found " + std::to_string(data.classes));
  }
  if (data.format == DataFormat::kImages) check_images(data);
  if (data.cache != DataCache::kNone) check_cache(data);
}

void check_shape(const ScheduleShape& shape, double warmup_epochs, const Mark& where, const std::string& path) {
  const std::string milestones = child_path(path, "milestones");
  if (std::ranges::adjacent_find(shape.milestones, std::greater_equal()) != shape.milestones.end()) {
    config_error(where, milestones, "expected rising numbers");
  }
  if (shape.type == ScheduleType::kMultistep && shape.milestones.empty()) {
    config_error(where, milestones, "expected at least one number");
  }
  if (!shape.milestones.empty() && shape.milestones.front() <= warmup_epochs) {
    config_error(where, milestones, "the first lies in the warm-up");
  }
  if (shape.restart_factor > 1 && shape.restart_epochs == 0) {
    config_error(where, child_path(path, "restart_factor"), "needs restart_epochs > 0");
  }
}

void check_evaluations(const Experiment& e) {
  if (e.train.eval_every_epochs > 0) return;
  const auto refuse = [](const Mark& where, const char* path) {
    config_error(where, path, "follows from evaluations; expected train.eval_every_epochs > 0");
  };
  if (e.schedule.plateau) refuse(e.schedule.plateau->where, "schedule.plateau");
  if (e.train.early_stopping) refuse(e.train.early_stopping->where, "train.early_stopping");
  if (e.checkpoint.best) refuse(e.checkpoint.where, "checkpoint.best");
}

void check_schedule(const ScheduleConfig& schedule) {
  const std::string path = "schedule", phases = child_path(path, "phases");
  check_shape(schedule, schedule.warmup_epochs, schedule.where, path);
  const bool shaped = schedule.type != ScheduleType::kConstant || schedule.start || !schedule.phases.empty();
  if (schedule.plateau && shaped) {
    config_error(schedule.plateau->where, child_path(path, "plateau"),
                 "takes the place of type, start and phases; give one of the two");
  }
  if (schedule.phases.empty()) return;
  if (schedule.type != ScheduleType::kConstant || schedule.start) {
    config_error(schedule.where, phases, "takes the place of type; give one of the two");
  }
  for (size_t i = 0; i < schedule.phases.size(); ++i) {
    const SchedulePhaseConfig& phase = schedule.phases[i];
    const std::string of_phase = child_path(phases, i), epochs = child_path(of_phase, "epochs");
    const bool last = i + 1 == schedule.phases.size();
    check_shape(phase, i == 0 ? schedule.warmup_epochs : 0, phase.where, of_phase);
    if (!last && !phase.epochs)
      config_error(phase.where, epochs, "required key is missing; only the last has the rest");
    if (last && phase.epochs) config_error(phase.where, epochs, "the last phase has the rest of the run");
  }
}

// Before the training, not behind it.
void check_exports(const TrainConfig& train) {
  constexpr size_t kLongestName = 200;  // bytes; what is temporary has a longer one
  for (size_t i = 0; i < train.exports.size(); ++i) {
    const std::string& name = train.exports[i];
    const std::string path = child_path("train.exports", i);
    if (name.find('/') != std::string::npos) {
      config_error(train.where, path, "expected the name of a file in the run directory, found '" + name + "'");
    }
    if (name.size() > kLongestName) {
      config_error(train.where, path,
                   "expected at most " + std::to_string(kLongestName) + " bytes, found " + std::to_string(name.size()));
    }
    try {
      require_known_format(name);
    } catch (const Error& error) {
      config_error(train.where, path, error.what());
    }
  }
}

void check_loss(const LossConfig& loss, int classes) {
  const std::vector<double>& weights = loss.class_weights;
  if (weights.empty()) return;
  if (loss.teacher) {
    config_error(loss.where, "loss.class_weights", "excludes loss.teacher; give one of the two");
  }
  if (weights.size() != static_cast<size_t>(classes)) {
    config_error(loss.where, "loss.class_weights",
                 "expected " + std::to_string(classes) + " numbers, one for each class, found " +
                     std::to_string(weights.size()));
  }
  if (std::ranges::none_of(weights, [](double weight) { return weight > 0; })) {
    config_error(loss.where, "loss.class_weights", "expected one above 0, else there is nothing to learn");
  }
}

void check_stages(const Experiment& e) {
  int64_t epochs = 0;
  for (size_t i = 0; i < e.train.stages.size(); ++i) {
    const StageConfig& stage = e.train.stages[i];
    const std::string path = child_path("train.stages", i), size = child_path(path, "size");
    epochs += stage.epochs;
    if (!stage.size && !stage.global && !stage.micro) {
      config_error(stage.where, path, "expected size, global or micro");
    }
    if (stage.micro && !stage.global && e.batch.per_rank) {
      config_error(stage.where, child_path(path, "micro"), "needs global, as the experiment has batch.per_rank");
    }
    if (stage.size) {
      const int channels = e.data.shape ? (*e.data.shape)[2] : 1;
      check_image_bytes((*stage.size)[0], (*stage.size)[1], channels, stage.where, size);
    }
    if (stage.size && e.data.format != DataFormat::kImages && e.data.format != DataFormat::kSynthetic) {
      config_error(stage.where, size, "only for data.format: images or synthetic");
    }
    if (stage.size && e.data.cache == DataCache::kRam) {
      config_error(stage.where, size, "excludes data.cache: ram, which keeps images of one size");
    }
    if (e.data.cache == DataCache::kDevice) config_error(stage.where, path, "excludes data.cache: device");
  }
  if (e.train.epochs && epochs > *e.train.epochs) {
    config_error(e.train.where, "train.stages",
                 "have " + std::to_string(epochs) + " epochs, and train.epochs is " + std::to_string(*e.train.epochs));
  }
}

void check_sections(const Experiment& e) {
  check_exports(e.train);
  check_loss(e.loss, e.model.classes);
  check_schedule(e.schedule);
  check_evaluations(e);
  check_data(e.data);
  if (!e.batch.global && !e.batch.per_rank) config_error(e.batch.where, "batch", "expected global or per_rank");
  check_stages(e);
  for (const BatchConfig& batch : batches(e)) {
    if (batch.global) resolve(batch, 1);  // micro divides global for any number of ranks, or for none
  }
  if (!e.train.epochs && !e.train.steps) config_error(e.train.where, "train", "expected epochs or steps");
  if (e.optimizer.nesterov && e.optimizer.momentum == 0) {
    config_error(e.optimizer.where, "optimizer.nesterov", "needs momentum > 0");
  }
  if (e.train.recompute == Recompute::kAuto && e.train.memory_mib == 0) {
    config_error(e.train.where, "train.recompute", "auto needs memory_mib > 0");
  }
  if (e.train.export_ema && e.train.ema_decay == 0) {
    config_error(e.train.where, "train.export_ema", "needs ema_decay > 0");
  }
  if (e.distributed.average_every > 1 && e.train.sync_bn) {
    config_error(e.distributed.where, "distributed.average_every", "excludes train.sync_bn: networks differ meanwhile");
  }
  if (e.distributed.average_every > 1 && (e.optimizer.sharded || e.distributed.gradients != Dtype::kF32)) {
    config_error(e.distributed.where, "distributed.average_every",
                 std::string("ranks that train apart exchange no gradients; excludes ") +
                     (e.optimizer.sharded ? "optimizer.sharded" : "distributed.gradients: bf16"));
  }
  if (e.distributed.error_feedback && e.distributed.gradients != Dtype::kBF16) {
    config_error(e.distributed.where, "distributed.error_feedback", "needs distributed.gradients: bf16");
  }
  if (e.distributed.error_feedback && e.train.precision == Precision::kF16) {
    config_error(e.distributed.where, "distributed.error_feedback", "excludes train.precision: f16, whose scale moves");
  }
  if (e.optimizer.clip_norm > 0 && e.optimizer.clip_value > 0) {
    config_error(e.optimizer.where, "optimizer.clip_value", "excludes optimizer.clip_norm; give one of the two");
  }
  if (e.metrics.host.find(':') != std::string::npos) {
    config_error(e.metrics.where, "metrics.host", "IPv6 addresses are not supported; give an IPv4 address or a name");
  }
}

Experiment to_experiment(Node tree, const Hdf5Options& hdf5) {
  check_exclusive(tree);
  if (Node* model = tree.find("model")) {
    inline_model_file(*model, "model", hdf5);
    if (Node* base = model->find("base")) inline_model_file(*base, "model.base", hdf5);
  }
  Experiment experiment;
  bind_section(tree, "", experiment);
  complete_model(experiment);
  check_sections(experiment);
  return experiment;
}

// What an experiment needs besides the model.
constexpr const char* kAroundAModel =
    "experiment: {name: model}\n"
    "model: {}\n"
    "data: {format: synthetic}\n"
    "batch: {global: 1}\n"
    "train: {steps: 1}\n"
    "optimizer: {type: sgd, learning_rate: 0.01}\n";

// A key of `data`, from the section `made_for` of a model file, from the key of that name in the file itself, or else
// from `otherwise`.
Node made_for_value(const Node& file, const char* key, const char* otherwise) {
  const Node* given = nullptr;
  if (const Node* made_for = file.find("made_for")) {
    require_map(*made_for, "made_for");
    refuse_unknown_keys(*made_for, "made_for", std::array<std::string_view, 2>{"shape", "classes"});
    given = made_for->find(key);
  }
  if (given == nullptr) given = file.find(key);
  Node value = given == nullptr ? parse_yaml_value(otherwise, "made_for") : *given;
  value.key = key;
  return value;
}

int largest_divisor_up_to(int number, int limit) {
  int divisor = std::min(number, limit);
  while (number % divisor != 0) --divisor;
  return divisor;
}

}  // namespace

Experiment load_experiment(const std::string& path, const std::vector<std::string>& overrides,
                           const Hdf5Options& hdf5) {
  if (begins_like_model(path)) {
    throw Error(ExitCode::kConfig,
                path + ": expected an experiment file (YAML), found a model; --model_file=" + path + " names one");
  }
  return to_experiment(compose(path, overrides), hdf5);
}

Experiment experiment_of(Node tree, const std::vector<std::string>& overrides, const Hdf5Options& hdf5) {
  escape_interpolation(tree);
  apply_overrides(tree, overrides);
  interpolate(tree);
  return to_experiment(std::move(tree), hdf5);
}

bool is_model_file(const std::string& path) { return parse_yaml_file(path).find("layers") != nullptr; }

Experiment load_model(const std::string& path, const std::vector<std::string>& overrides, const Hdf5Options& hdf5) {
  const Node file = parse_yaml_file(path);
  Node tree = parse_yaml(kAroundAModel, path);
  Node config = plain_node(std::filesystem::absolute(path).string());
  config.key = "config";
  tree.find("model")->children.push_back(std::move(config));
  Node* data = tree.find("data");
  data->children.push_back(made_for_value(file, "shape", "[224, 224, 3]"));
  data->children.push_back(made_for_value(file, "classes", "1000"));
  apply_overrides(tree, overrides);
  interpolate(tree);
  return to_experiment(std::move(tree), hdf5);
}

std::string show(const Experiment& experiment) {
  Node tree = to_node(experiment);
  escape_interpolation(tree);
  return to_yaml(tree);
}

std::vector<BatchConfig> batches(const Experiment& experiment) {
  const BatchConfig& rest = experiment.batch;
  std::vector<BatchConfig> result;
  for (const StageConfig& stage : experiment.train.stages) {
    if (!stage.global && !stage.micro) {
      result.push_back(rest);
      continue;
    }
    const std::optional<int> micro = stage.micro ? stage.micro : rest.per_rank ? rest.per_rank : rest.micro;
    result.push_back({.global = stage.global ? stage.global : rest.global,
                      .micro = micro,
                      .where = stage.where,
                      .path = child_path("train.stages", result.size())});
  }
  result.push_back(rest);
  return result;
}

ResolvedBatch resolve(const BatchConfig& batch, int world) {
  if (batch.per_rank) {
    const int64_t global = int64_t{*batch.per_rank} * world;
    if (global > std::numeric_limits<int>::max()) {
      config_error(batch.where, "batch.per_rank",
                   "times " + std::to_string(world) + " ranks is more than 2147483647 rows");
    }
    return {static_cast<int>(global), *batch.per_rank, world};
  }
  const int global = batch.global.value();
  const int micro = batch.micro.value_or(largest_divisor_up_to(global, kLargestDefaultMicro));
  if (global % micro != 0) {
    config_error(batch.where, child_path(batch.path, "micro"),
                 "expected a divisor of " + child_path(batch.path, "global") + " " + std::to_string(global) +
                     ", found " + std::to_string(micro));
  }
  const int micro_batches = global / micro;
  if (micro_batches < world) {
    config_error(batch.where, batch.path,
                 std::to_string(global) + " rows in micro-batches of " + std::to_string(micro) + " give " +
                     std::to_string(micro_batches) + " for " + std::to_string(world) + " ranks; raise " +
                     child_path(batch.path, "global") + ", lower " + child_path(batch.path, "micro") +
                     " or start fewer ranks");
  }
  return {global, micro, micro_batches};
}

void require_full_batch(const BatchConfig& batch, int64_t samples, int world) {
  const int global = resolve(batch, world).global;
  if (samples >= global) return;
  config_error(batch.where, child_path(batch.path, batch.per_rank ? "per_rank" : "global"),
               "expected at most the " + std::to_string(samples) + " samples to train on, found " +
                   std::to_string(global) + (batch.per_rank ? " for all ranks" : ""));
}

}  // namespace convoy
