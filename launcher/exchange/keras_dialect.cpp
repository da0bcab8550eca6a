#include "launcher/exchange/keras_dialect.h"

#include <algorithm>

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

Json shape(const std::vector<int>& dims) {
  Json out = {nullptr};
  for (const int dim : dims) out.push_back(dim);
  return out;
}

Json dtype_policy() {
  return {{"module", "keras"},
          {"class_name", "DTypePolicy"},
          {"config", {{"name", "float32"}}},
          {"registered_name", nullptr}};
}

Json input_config(const KerasLayerOut& layer, bool legacy) {
  if (legacy) return {{"batch_input_shape", shape(layer.dims)}, {"dtype", "float32"}, {"name", layer.name}};
  return {{"batch_shape", shape(layer.dims)},
          {"dtype", "float32"},
          {"sparse", false},
          {"ragged", false},
          {"name", layer.name},
          {"optional", false}};
}

Json build_shape(const KerasLayerOut& layer, const std::vector<KerasLayerOut>& all) {
  if (layer.inputs.size() == 1) return shape(all[layer.inputs[0]].dims);
  Json shapes = Json::array();
  for (const size_t input : layer.inputs) shapes.push_back(shape(all[input].dims));
  return shapes;
}

}  // namespace

bool KerasDialect::is_chain(const std::vector<KerasLayerOut>& layers) {
  for (size_t i = 1; i < layers.size(); ++i) {
    if (layers[i].inputs != std::vector<size_t>{i - 1}) return false;
  }
  return true;
}

Json KerasDialect::layer(const KerasLayerOut& layer, const std::vector<KerasLayerOut>& all) const {
  const bool is_input = layer.inputs.empty();
  Json config = is_input ? input_config(layer, legacy_) : Json{{"name", layer.name}, {"trainable", layer.trainable}};
  if (!is_input) {
    config["dtype"] = legacy_ ? Json("float32") : dtype_policy();
    if (!legacy_) config.update(Json::parse(keras_defaults(layer.class_name).config));
    config.update(layer.config);
  }
  // Until Keras 3 this key had another name, which Keras 3 reads, too.
  if (legacy_ && layer.class_name == "LeakyReLU") {
    config["alpha"] = config["negative_slope"];
    config.erase("negative_slope");
  }
  if (legacy_) return {{"class_name", layer.class_name}, {"config", config}};
  Json out = {
      {"module", "keras.layers"}, {"class_name", layer.class_name}, {"config", config}, {"registered_name", nullptr}};
  if (keras_defaults(layer.class_name).built) out["build_config"] = {{"input_shape", build_shape(layer, all)}};
  return out;
}

// The one call of a layer: of Keras 2 a list of [name, call, output, {}], of Keras 3 of tensors with their shapes.
Json KerasDialect::inbound(const KerasLayerOut& layer, const std::vector<KerasLayerOut>& all) const {
  if (layer.inputs.empty()) return Json::array();
  Json refs = Json::array();
  for (const size_t input : layer.inputs) {
    const Json history = {all[input].name, 0, 0};
    if (legacy_) {
      refs.push_back({all[input].name, 0, 0, Json::object()});
    } else {
      refs.push_back(
          {{"class_name", "__keras_tensor__"},
           {"config", {{"shape", shape(all[input].dims)}, {"dtype", "float32"}, {"keras_history", history}}}});
    }
  }
  if (legacy_) return Json::array({refs});
  const Json args = refs.size() == 1 ? refs : Json::array({refs});
  return Json::array({Json{{"args", args}, {"kwargs", Json::object()}}});
}

Json KerasDialect::model(const std::string& name, const std::vector<KerasLayerOut>& layers) const {
  const bool chain = is_chain(layers);
  Json entries = Json::array();
  for (const KerasLayerOut& it : layers) {
    Json entry = layer(it, layers);
    if (!chain) {
      entry["name"] = it.name;
      entry["inbound_nodes"] = inbound(it, layers);
    }
    entries.push_back(entry);
  }
  Json config = {{"name", name}, {"trainable", true}};
  if (chain && !legacy_) config["dtype"] = dtype_policy();
  config["layers"] = entries;
  const Json input = shape(layers.front().dims);
  if (chain) {
    if (!legacy_) config["build_input_shape"] = input;
  } else {
    const Json first = {layers.front().name, 0, 0}, last = {layers.back().name, 0, 0};
    config["input_layers"] = legacy_ ? Json::array({first}) : first;
    config["output_layers"] = legacy_ ? Json::array({last}) : last;
  }
  const char* class_name = chain ? "Sequential" : "Functional";
  if (legacy_) return {{"class_name", class_name}, {"config", config}};
  Json out = {{"module", chain ? "keras" : "keras.src.models.functional"},
              {"class_name", class_name},
              {"config", config},
              {"registered_name", chain ? Json() : Json("Functional")}};
  out["build_config"] = {{"input_shape", chain ? input : Json()}};
  return out;
}

}  // namespace convoy
