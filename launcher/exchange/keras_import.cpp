#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/error.h"
#include "launcher/exchange/keras_json.h"
#include "launcher/exchange/keras_layers.h"
#include "launcher/exchange/keras_training.h"
#include "launcher/exchange/keras_weights.h"
#include "launcher/exchange/readers.h"

namespace convoy {
namespace {

using nlohmann::json;

std::string format_of(const KerasFile& file) {
  const char* unsaid = file.format == KerasFormat::kWeights || file.format == KerasFormat::kKeras ? "3" : "1";
  const std::string version = file.keras_version.empty() ? unsaid : file.keras_version.substr(0, 30);
  return "Keras " + version + ", " + to_string(file.format);
}

// What keras_export.cpp put beside the configuration; Keras does not look at it.
void read_extras(const KerasFile& file, const json& document, ForeignModel& model) {
  const auto found = document.find("convoy");
  if (found == document.end()) return;
  const KerasFields extras(*found, file.path + ": model_config: convoy");
  if (const json* preprocessing = extras.find("preprocessing")) {
    if (model.preprocessing) extras.fail("preprocessing", "the network begins with a scaling of pixels, too");
    model.preprocessing = parse_preprocessing(preprocessing->dump(), extras.where());
  }
  const json* names = extras.find("class_names");
  if (names == nullptr) return;
  if (!names->is_array()) extras.fail("class_names", "expected a list of texts");
  for (const json& name : *names) {
    if (!name.is_string()) extras.fail("class_names", "expected a list of texts");
    model.class_names.push_back(name.get<std::string>());
  }
}

}  // namespace

ForeignModel from_keras(const KerasFile& file) {
  ForeignModel model;
  model.path = file.path;
  model.format = format_of(file);
  model.order = WeightOrder::kKeras;
  if (file.model_config.empty()) {
    model.tensors = name_keras_weights(file);
    model.in_layer_order = true;
    return model;
  }
  const KerasGraph graph = read_keras_graph(file.model_config, file.keras_version, file.path);
  const std::vector<KerasSlot> slots = keras_slots(graph, file.path);
  KerasWeights weights = match_keras_weights(file, graph, slots);
  KerasModel converted = convert_keras_layers(graph, weights, file.path);
  model.model = std::move(converted.text);
  model.shape = converted.shape;
  model.classes = converted.classes;
  model.preprocessing = converted.preprocessing;
  model.notes = std::move(converted.notes);
  model.training_notes = std::move(converted.training_notes);
  read_extras(file, graph.document, model);
  model.training = read_keras_training(file, slots, weights, converted.softmax, model);
  model.tensors = std::move(weights.tensors);
  std::ranges::move(converted.constants, std::back_inserter(model.tensors));
  return model;
}

}  // namespace convoy
