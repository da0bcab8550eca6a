#include "launcher/exchange/keras_training.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/io/limited_json.h"
#include "launcher/exchange/keras_json.h"

namespace convoy {
namespace {

using nlohmann::json;

// ---- The optimizer's settings

// A number, or a schedule, which starts somewhere.
double learning_rate(const KerasFields& config, std::vector<std::string>& notes) {
  const char* key = config.has("learning_rate") ? "learning_rate" : "lr";  // Keras 1 and 2
  const json* value = config.find(key);
  if (value == nullptr || !value->is_object()) return config.number(key);
  const KerasFields schedule(*value, config.where() + ": learning_rate");
  const KerasFields settings(schedule.require("config"), schedule.where());
  const char* first = settings.has("initial_learning_rate") ? "initial_learning_rate" : "learning_rate";
  const double start = settings.number(first);
  notes.push_back("the learning rate's schedule " + schedule.text_or("class_name", "") +
                  " is left out: training goes on with its first value; see `schedule`");
  return start;
}

void note_left_out(const KerasFields& config, bool decays, std::vector<std::string>& notes) {
  for (const char* key : {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "decay", "use_ema",
                          "gradient_accumulation_steps"}) {
    const json* value = config.find(key);
    if (value == nullptr || *value == 0 || *value == false || (decays && key == std::string_view("weight_decay")))
      continue;
    notes.push_back(std::string("the optimizer's ") + key + " is left out");
  }
}

std::optional<OptimizerConfig> settings(const std::string& type, const KerasFields& config, ForeignModel& model) {
  std::vector<std::string>& notes = model.training_notes;
  OptimizerConfig out;
  if (type == "SGD") {
    out.type = OptimizerType::kSgd;
    out.momentum = config.number_or("momentum", 0);
    out.nesterov = config.boolean_or("nesterov", false);
  } else if ((type == "Adam" || type == "AdamW") && !config.boolean_or("amsgrad", false)) {
    out.type = type == "Adam" ? OptimizerType::kAdam : OptimizerType::kAdamw;
    if (type == "AdamW") out.weight_decay = config.number_or("weight_decay", 0.004);
    out.decay_vectors = type == "AdamW";  // as all of Keras' variables do
    out.beta1 = config.number_or("beta_1", 0.9);
    out.beta2 = config.number_or("beta_2", 0.999);
    out.epsilon = config.number_or("epsilon", 1e-7);
    notes.push_back(
        "Adam: Keras adds epsilon before the bias correction, Convoy behind it as in the paper's algorithm; "
        "the steps differ where gradients are as small as epsilon");
  } else {
    model.optimizer_left_out = type.substr(0, 100) + (type.starts_with("Adam") ? " with amsgrad" : "") +
                               " is left out: Convoy goes on from SGD, Adam and AdamW";
    notes.push_back("the optimizer " + model.optimizer_left_out);
    return std::nullopt;
  }
  out.learning_rate.base = learning_rate(config, notes);
  note_left_out(config, type == "AdamW", notes);
  return out;
}

struct KerasLoss {
  std::string name;
  bool logits = false;  // of which it is; else of probabilities
  double smoothing = 0;
};

KerasLoss keras_loss(const json& loss, const std::string& where) {
  if (loss.is_string()) return {loss.get<std::string>()};
  if (!loss.is_object()) return {};
  const KerasFields object(loss, where);
  KerasLoss out{keras_snake_case(object.text_or("class_name", ""))};
  const json* config = object.find("config");
  if (config == nullptr || !config->is_object()) return out;
  const KerasFields settings(*config, where);
  out.logits = settings.boolean_or("from_logits", false);
  out.smoothing = settings.number_or("label_smoothing", 0);
  return out;
}

std::optional<LossType> our_loss(std::string_view name) {
  if (name == "sparse_categorical_crossentropy" || name == "categorical_crossentropy") {
    return LossType::kSoftmaxCrossEntropy;
  }
  if (name == "binary_crossentropy" || name == "bce") return LossType::kBinaryCrossEntropy;
  if (name == "mean_squared_error" || name == "mse") return LossType::kMeanSquaredError;
  return std::nullopt;
}

// `softmax`: at the end of the network was one, which is left out.
void read_loss(const KerasFields& training, bool softmax, ForeignModel& model) {
  std::vector<std::string>& notes = model.training_notes;
  const json* found = training.find("loss");
  if (found == nullptr) return;
  const KerasLoss loss = keras_loss(*found, training.where() + ": loss");
  const std::optional<LossType> type = our_loss(loss.name);
  const bool binary = type == LossType::kBinaryCrossEntropy, squared = type == LossType::kMeanSquaredError;
  const bool of_probabilities = (binary && !loss.logits) || ((binary || squared) && softmax);
  if (!type || of_probabilities) {
    notes.push_back("the loss " + (loss.name.empty() ? "" : "'" + loss.name.substr(0, 100) + "' ") +
                    "is left out: Convoy trains with softmax cross-entropy" +
                    (type ? "; it was of probabilities, and Convoy's wants a network that ends in logits" : ""));
    return;
  }
  model.loss.emplace().type = *type;
  if (!binary && !squared && loss.logits == softmax) {
    notes.push_back(softmax ? "the loss took probabilities for logits; Convoy's does not"
                            : "the loss took the network's outputs for probabilities; for Convoy they are logits");
  }
  if (loss.smoothing == 0) return;
  if (binary) {
    notes.emplace_back("the loss' label_smoothing is left out: Keras' moves targets towards 1/2");
  } else if (squared || !(loss.smoothing > 0 && loss.smoothing < 1)) {
    notes.emplace_back("the loss' label_smoothing is left out");
  } else {
    model.loss->label_smoothing = loss.smoothing;
  }
}

// ---- Its weights

struct OptimizerWeights {
  std::optional<int64_t> step;
  std::map<std::string, std::vector<const HostTensor*>> slots;  // by kind, in the order of the parameters
};

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// What a name says of the kind of a slot: of Keras 3 "adam/conv2d_kernel_velocity", of Keras 2 "Adam/conv2d/kernel/v:0"
// or "Adam/v/conv2d/kernel:0"; "" for "12" and "training/Adam/Variable_3:0".
std::string kind_in(std::string name, OptimizerType type) {
  name = name.substr(0, name.rfind(':'));
  const bool first = name.ends_with("momentum") || name.ends_with("/m") || contains(name, "/m/") ||
                     contains(name, "/momentum/") || name.starts_with("m_") || contains(name, "/m_");
  const bool second = name.ends_with("velocity") || name.ends_with("/v") || contains(name, "/v/") ||
                      contains(name, "/velocity/") || name.starts_with("v_") || contains(name, "/v_");
  if (type == OptimizerType::kSgd) return first || second ? "momentum" : "";
  return first ? "mean" : second ? "variance" : "";
}

// What names do not say, places do: in the formats of Keras 3 mean and variance take turns, before all means came
// first.
OptimizerWeights sorted(const KerasFile& file, OptimizerType type) {
  OptimizerWeights out;
  std::vector<const HostTensor*> slots;
  for (const HostTensor& tensor : file.optimizer) {
    if (!tensor.dims.empty()) {
      slots.push_back(&tensor);
    } else if (!out.step && tensor.values.size() == 1 && tensor.values[0] >= 0 && tensor.values[0] < 0x1.0p62F) {
      out.step = static_cast<int64_t>(tensor.values[0]);  // the first scalar; the learning rate follows
    }
  }
  const bool numbered = file.format == KerasFormat::kWeights || file.format == KerasFormat::kKeras;
  for (size_t i = 0; i < slots.size(); ++i) {
    std::string kind = type == OptimizerType::kSgd ? "momentum" : kind_in(slots[i]->name, type);
    if (kind.empty()) kind = (numbered ? i % 2 == 0 : i < slots.size() / 2) ? "mean" : "variance";
    out.slots[kind].push_back(slots[i]);
  }
  return out;
}

// Keras' momentum is v = m v - lr g, added to the weight; ours v = m v + g, which the rate is multiplied with.
void make_ours(HostTensor& tensor, double rate) {
  for (float& value : tensor.values) value = static_cast<float>(-value / rate);
}

// Which parameters have them; nothing where shapes disagree.
std::optional<std::vector<ForeignTensor>> slots_of(
    const OptimizerConfig& optimizer, const OptimizerWeights& weights,
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& parameters) {
  std::vector<ForeignTensor> out;
  for (const auto& [kind, tensors] : weights.slots) {
    if (tensors.size() != parameters.size()) return std::nullopt;
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i]->dims != parameters[i].second) return std::nullopt;
      out.push_back({parameters[i].first + "." + kind, "optimizer/" + tensors[i]->name, *tensors[i]});
      if (kind == "momentum") make_ours(out.back().tensor, optimizer.learning_rate.base);
    }
  }
  return out;
}

}  // namespace

std::optional<ForeignTraining> read_keras_training(const KerasFile& file, const std::vector<KerasSlot>& slots,
                                                   const KerasWeights& weights, bool softmax, ForeignModel& model) {
  std::vector<std::string>& notes = model.training_notes;
  if (file.training_config.empty()) return std::nullopt;
  const std::string where = file.path + ": training_config";
  const json parsed = parse_limited_json(file.training_config, where);
  const KerasFields training(parsed, where);
  read_loss(training, softmax, model);
  const json* found = training.find("optimizer_config");
  if (found == nullptr) found = training.find("optimizer");  // of a .keras
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) {
    model.optimizer_left_out = "'" + found->get<std::string>().substr(0, 100) + "' has no settings in the file";
    notes.push_back("the optimizer " + model.optimizer_left_out);
    return std::nullopt;
  }
  const KerasFields optimizer(*found, where + ": optimizer");
  std::string type = optimizer.text("class_name");
  if (const size_t package = type.rfind('>'); package != std::string::npos) type = type.substr(package + 1);
  const auto config = settings(type, KerasFields(optimizer.require("config"), optimizer.where()), model);
  if (!config) return std::nullopt;

  ForeignTraining out{*config, 0, {}};
  std::vector<std::pair<std::string, std::vector<int64_t>>> parameters;  // that Keras' optimizer updates
  for (const KerasSlot& slot : slots) {
    const auto tensor = weights.by_role.find({slot.node, slot.role});
    if (slot.trainable && tensor != weights.by_role.end()) parameters.emplace_back(slot.name, tensor->second->dims);
  }
  const OptimizerWeights stored = sorted(file, config->type);
  if (config->type == OptimizerType::kSgd) out.step = stored.step.value_or(0);  // Adam's is that of its slots
  if (stored.slots.empty()) return out;
  if (config->type == OptimizerType::kSgd && !(config->learning_rate.base > 0)) {
    notes.push_back("the momentum is left out: with a learning rate of 0 it says nothing of the gradients");
    return out;
  }
  if (auto tensors = slots_of(*config, stored, parameters)) {
    out.slots = std::move(*tensors);
    out.step = stored.step.value_or(0);
  } else {
    notes.push_back("the optimizer's weights are left out: they are not those of the network's parameters");
  }
  return out;
}

}  // namespace convoy
