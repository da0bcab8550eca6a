// Networks as files of Keras 3; the legacy ones such that Keras 2 reads them, too.
//
// What Keras has not, or has otherwise:
//   batch norm   frozen, it infers in training, too, else never; its running variance is the biased one
//   weight decay of our optimizers is an L2 penalty, Keras' is not: it is left out
//   Adam         epsilon is added before the bias correction
//   hard_sigmoid of Keras 2 is another function under that name
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "launcher/exchange/keras_exporter.h"
#include "launcher/exchange/keras_graph.h"
#include "layers/batch_norm.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKerasVersion = "3.15.1";  // whose files these are like

bool is_legacy(KerasFormat format) {
  return format == KerasFormat::kLegacyModel || format == KerasFormat::kLegacyWeights;
}

// ---- Layers and their weights

// Variables are called after the model in Sequential only.
std::string variable_path(const std::vector<KerasLayerOut>& layers, const std::string& model, size_t layer,
                          const std::string& role) {
  const std::string path = layers[layer].name + "/" + role;
  return KerasDialect::is_chain(layers) ? model + "/" + path : path;
}

std::vector<KerasLayer> weights_of(const std::vector<KerasLayerOut>& layers, const std::string& model,
                                   KerasFormat format) {
  const bool chain = KerasDialect::is_chain(layers);
  std::vector<KerasLayer> out;
  std::map<std::string, int> numbers;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (i == 0 && chain) continue;  // Sequential does not list its InputLayer
    const KerasLayerOut& layer = layers[i];
    const std::string type = keras_snake_case(layer.class_name);
    const int number = numbers[type]++;
    KerasLayer it{layer.name, number == 0 ? type : type + "_" + std::to_string(number), {}};
    if (is_legacy(format)) it.path = it.name;
    for (size_t w = 0; w < layer.weights.size(); ++w) {
      const auto& [role, tensor] = layer.weights[w];
      it.weights.push_back(tensor);
      it.weights.back().name = is_legacy(format) ? variable_path(layers, model, i, role) : std::to_string(w);
    }
    out.push_back(std::move(it));
  }
  return out;
}

// ---- Training

bool has_twin(const OptimizerConfig& optimizer) {
  return optimizer.type == OptimizerType::kSgd || is_adam(optimizer.type);
}

// Keras' and ours.
std::string name_of(OptimizerType type) {
  switch (type) {
    case OptimizerType::kSgd: return "sgd";
    case OptimizerType::kAdam: return "adam";
    case OptimizerType::kAdamw: return "adamw";
    default: break;
  }
  throw InternalError("an optimizer that Keras has not");
}

Json optimizer_config(const OptimizerConfig& optimizer) {
  Json config = {{"name", name_of(optimizer.type)}, {"learning_rate", optimizer.learning_rate.base}};
  if (optimizer.type == OptimizerType::kAdamw) config["weight_decay"] = optimizer.weight_decay;
  if (optimizer.type == OptimizerType::kSgd) {
    config.update({{"momentum", optimizer.momentum}, {"nesterov", optimizer.nesterov}});
  } else {
    config.update({{"beta_1", optimizer.beta1},
                   {"beta_2", optimizer.beta2},
                   {"epsilon", optimizer.epsilon_used()},
                   {"amsgrad", false}});
  }
  return config;
}

// Whether Keras' can be given the outputs of the exported network.
bool has_twin(const LossConfig& loss, bool probabilities) {
  return loss.type == LossType::kSoftmaxCrossEntropy || !probabilities;
}

// Its class and settings.
std::pair<const char*, Json> loss_config(const LossConfig& loss, bool probabilities) {
  switch (loss.type) {
    case LossType::kSoftmaxCrossEntropy: break;
    case LossType::kBinaryCrossEntropy:
      return {"BinaryCrossentropy", {{"from_logits", true}, {"name", "binary_crossentropy"}}};
    case LossType::kMeanSquaredError: return {"MeanSquaredError", {{"name", "mean_squared_error"}}};
  }
  if (loss.label_smoothing == 0) {
    return {"SparseCategoricalCrossentropy",
            {{"from_logits", !probabilities}, {"name", "sparse_categorical_crossentropy"}}};
  }
  return {"CategoricalCrossentropy",
          {{"from_logits", !probabilities},
           {"name", "categorical_crossentropy"},
           {"label_smoothing", loss.label_smoothing}}};
}

Json training_config(const TrainingState& training, bool probabilities, bool legacy) {
  const OptimizerConfig& optimizer = training.optimizer;
  const auto object = [&](const char* module, const char* class_name, const Json& config) {
    if (legacy) return Json{{"class_name", class_name}, {"config", config}};
    return Json{{"module", module}, {"class_name", class_name}, {"config", config}, {"registered_name", nullptr}};
  };
  const char* type = optimizer.type == OptimizerType::kSgd    ? "SGD"
                     : optimizer.type == OptimizerType::kAdam ? "Adam"
                                                              : "AdamW";
  Json out;
  const auto [loss, settings] = loss_config(training.loss, probabilities);
  const bool plain = std::string_view(loss) == "SparseCategoricalCrossentropy";
  out["loss"] = nullptr;
  if (has_twin(training.loss, probabilities)) out["loss"] = object("keras.losses", loss, settings);
  if (plain && probabilities) out["loss"] = "sparse_categorical_crossentropy";
  out["loss_weights"] = nullptr;
  out["metrics"] = Json::array({"accuracy"});
  out["weighted_metrics"] = nullptr;
  out[legacy ? "optimizer_config" : "optimizer"] = object("keras.optimizers", type, optimizer_config(optimizer));
  return out;
}

// Keras' momentum is v = m v - lr g, added to the weight; ours v = m v + g, which the rate is multiplied with.
std::vector<float> as_keras(std::vector<float> values, const std::string& slot, double rate) {
  if (slot != "momentum") return values;
  for (float& value : values) value = static_cast<float>(-value * rate);
  return values;
}

std::vector<HostTensor> optimizer_weights(const TrainingState& training, const std::vector<KerasLayerOut>& layers,
                                          const Network& network, const std::string& model) {
  const OptimizerConfig& optimizer = training.optimizer;
  const bool sgd = optimizer.type == OptimizerType::kSgd;
  const std::string prefix = name_of(optimizer.type) + "/";
  std::vector<std::pair<std::string, std::string>> slots;  // ours and Keras'
  if (!sgd) slots = {{"mean", "momentum"}, {"variance", "velocity"}};
  if (sgd && optimizer.momentum != 0) slots = {{"momentum", "momentum"}};
  std::vector<HostTensor> out = {
      {prefix + "iteration", {}, {static_cast<float>(training.step)}},
      {prefix + "learning_rate", {}, {static_cast<float>(optimizer.learning_rate.base)}},
  };
  std::map<std::string, WeightPlace> places;
  for (const WeightPlace& place : weight_places(network.model.graph)) places.emplace(place.name, place);
  for (size_t i = 0; i < layers.size(); ++i) {
    for (size_t w = 0; w < layers[i].weights.size() && layers[i].trainable; ++w) {
      const WeightPlace& place = places.at(layers[i].parameters[w]);
      if (place.is_state) continue;
      const auto& [role, tensor] = layers[i].weights[w];
      std::string path = variable_path(layers, model, i, role);
      std::ranges::replace(path, '/', '_');
      for (const auto& [ours, theirs] : slots) {
        const auto found = training.slots.find(place.name + "." + ours);
        std::vector<float> values(tensor.values.size());  // of what has not been trained yet
        if (found != training.slots.end()) values = to_order(WeightOrder::kKeras, place, found->second);
        out.push_back(
            {prefix + path + "_" + theirs, tensor.dims, as_keras(values, ours, optimizer.learning_rate.base)});
      }
    }
  }
  return out;
}

// ---- What the user should know

void note_loss(const LossConfig& loss, bool probabilities, std::vector<std::string>& notes) {
  const bool softmax = loss.type == LossType::kSoftmaxCrossEntropy;
  if (!has_twin(loss, probabilities)) {
    notes.emplace_back("the loss is left out: Convoy's is of logits; --output=logits keeps it");
  } else if (!softmax || loss.label_smoothing > 0) {
    notes.emplace_back("in fit() Keras' loss wants one-hot labels");
  }
  if (!softmax && loss.label_smoothing > 0) {
    notes.emplace_back("the loss' label_smoothing is left out: Keras' moves targets towards 1/2");
  }
  if (!loss.class_weights.empty()) {
    notes.emplace_back("the loss' class_weights are left out: Keras takes them as an argument of fit()");
  }
}

std::vector<std::string> notes_of(const Network& network, bool probabilities) {
  std::vector<std::string> infer, do_not, notes;
  for (const Graph::Node& node : network.model.graph.nodes()) {
    if (node.layer->type() != BatchNorm::kType) continue;
    const bool inference = static_cast<const BatchNorm&>(*node.layer).options().inference;
    if (node.frozen && !inference) infer.push_back(node.name);
    if (!node.frozen && inference) do_not.push_back(node.name);
  }
  if (!infer.empty()) {
    notes.push_back(
        "in fit() frozen batch norm of Keras uses its running statistics, where Convoy's uses those of the "
        "batch: " +
        listed(infer));
  }
  if (!do_not.empty()) {
    notes.push_back(
        "in fit() batch norm of Keras that is not frozen uses the statistics of the batch, where Convoy's "
        "uses its running statistics (`inference`): " +
        listed(do_not));
  }
  if (network.training && network.training->optimizer.weight_decay != 0) {
    const OptimizerConfig& optimizer = network.training->optimizer;
    if (optimizer.type != OptimizerType::kAdamw) {
      notes.emplace_back("the optimizer's weight_decay is left out: it is an L2 penalty, Keras' is another");
    } else if (!optimizer.decay_vectors) {
      notes.emplace_back("in fit() Keras' AdamW decays biases and norms too");
    }
  }
  if (network.training && !has_twin(network.training->optimizer)) {
    notes.emplace_back(network.training->optimizer.type == OptimizerType::kRmsprop
                           ? "the optimizer is left out: Keras' RMSprop adds epsilon elsewhere"
                           : "the optimizer is left out: Keras has no twin of it");
  }
  if (network.training) note_loss(network.training->loss, probabilities, notes);
  if (network.training && !network.training->optimizer.groups.empty()) {
    notes.emplace_back("the optimizer's groups are left out: Keras has one learning rate for all");
  }
  return notes;
}

// Keras 3 cannot go on training from any .h5 with optimizer weights (docs/models.md): none where there is nothing to go
// on from.
bool has_state(const TrainingState& training, bool legacy) { return !legacy || !training.slots.empty(); }

}  // namespace

KerasFile to_keras(const Network& network, const ExportOptions& options, KerasFormat format,
                   std::vector<std::string>& notes) {
  std::ranges::move(notes_of(network, options.probabilities), std::back_inserter(notes));
  KerasExporter exporter(network);
  const std::vector<KerasLayerOut>& layers = exporter.run(options.probabilities);
  std::string name = legal_layer_name(network.config.name);
  std::ranges::replace(name, '.', '_');
  KerasFile file;
  file.format = format;
  file.keras_version = kKerasVersion;
  file.layers = weights_of(layers, name, format);
  const bool legacy = is_legacy(format);
  if (format == KerasFormat::kLegacyModel || format == KerasFormat::kKeras) {
    Json model = KerasDialect(legacy).model(name, layers);
    Json extras = Json::object();  // which Keras does not look at
    if (network.preprocessing) extras["preprocessing"] = Json::parse(to_json(*network.preprocessing));
    if (!network.class_names.empty()) extras["class_names"] = network.class_names;
    if (!extras.empty()) model["convoy"] = extras;
    file.model_config = model.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (network.training && has_twin(network.training->optimizer)) {
      file.training_config = training_config(*network.training, options.probabilities, legacy).dump();
    }
  }
  const bool weights_only = format == KerasFormat::kLegacyWeights;
  if (network.training && has_twin(network.training->optimizer) && !weights_only &&
      has_state(*network.training, legacy)) {
    file.optimizer = optimizer_weights(*network.training, layers, network, name);
    for (size_t i = 0; i < file.optimizer.size() && !legacy; ++i) file.optimizer[i].name = std::to_string(i);
  }
  return file;
}

}  // namespace convoy
