// Activations: as layers of their own, by name in Activation, and as the `activation` of another layer.
#include "launcher/exchange/keras_conversion.h"

namespace convoy {
namespace {

using Call = KerasConversion::Call;

KerasValue function(const Call& call, const std::string& type, std::vector<LayerParameter> parameters = {}) {
  return call.write(type, std::move(parameters), call.x().dims, call.is_activation ? type : "");
}

KerasValue leaky(const Call& call, double slope) {
  return slope == 0 ? function(call, "relu") : function(call, "leaky_relu", {{"slope", yaml_number(slope)}});
}

KerasValue relu(const Call& call) {
  const double slope = call.fields.number_or("negative_slope", 0);
  if (call.fields.number_or("threshold", 0) != 0) call.fields.refuse("Convoy has no relu with a threshold");
  if (!call.fields.has("max_value")) return leaky(call, slope);
  if (call.fields.number("max_value") != 6 || slope != 0)
    call.fields.refuse("of relus with max_value, Convoy has relu6");
  return function(call, "relu6");
}

// Keras 1 and 2 call it alpha, which was 0.3, too.
KerasValue leaky_relu(const Call& call) {
  return leaky(call, call.fields.number_or("negative_slope", call.fields.number_or("alpha", 0.3)));
}

KerasValue elu(const Call& call) {
  return function(call, "elu", {{"alpha", yaml_number(call.fields.number_or("alpha", 1))}});
}

KerasValue softmax(const Call& call) {
  int axis = -1;
  const auto* given = call.fields.find("axis");
  if (given != nullptr && !as_integer(*given, axis)) call.fields.refuse("softmax is over the channels only");
  if (axis != -1 && axis != static_cast<int>(call.x().dims.size())) {
    call.fields.refuse("softmax is over the channels only, not over axis " + std::to_string(axis));
  }
  return function(call, "softmax");
}

// Until Keras 3 it was another function: 0.2 x + 0.5 between 0 and 1, now x / 6 + 0.5.
KerasValue hard_sigmoid(const Call& call) {
  if (call.conversion.generation() < 3) {
    call.fields.refuse("the hard_sigmoid of Keras 1 and 2 (0.2 x + 0.5) is not that of Keras 3, which Convoy has");
  }
  return function(call, "hard_sigmoid");
}

// By name.  Parameters are those of the functions' defaults.
KerasValue named(const Call& call, const std::string& name) {
  static const std::map<std::string_view, std::string_view> kPlain = {
      {"hard_silu", "hard_swish"},
      {"hard_swish", "hard_swish"},
      {"relu", "relu"},
      {"relu6", "relu6"},
      {"sigmoid", "sigmoid"},
      {"silu", "silu"},
      {"softmax", "softmax"},
      {"swish", "silu"},
      {"tanh", "tanh"},
  };
  if (name == "linear") return call.x();
  if (const auto found = kPlain.find(name); found != kPlain.end()) return function(call, std::string(found->second));
  if (name == "hard_sigmoid") return hard_sigmoid(call);
  if (name == "gelu") return function(call, "gelu");
  if (name == "elu") return function(call, "elu", {{"alpha", yaml_number(1)}});
  if (name == "leaky_relu") return leaky(call, 0.2);
  call.fields.refuse("Convoy has no activation '" + name.substr(0, 100) + "'");
}

// "relu", {"class_name": "function", "config": "relu"}, {"class_name": "ReLU", "config": {…}}, or nothing.
KerasValue from_field(const Call& call) {
  const nlohmann::json* value = call.fields.find("activation");
  if (value == nullptr) return call.x();
  if (value->is_string()) return named(call, value->get<std::string>());
  const KerasFields object(*value, call.fields.where() + ": activation");
  const nlohmann::json& config = object.require("config");
  if (config.is_string()) return named(call, config.get<std::string>());
  const std::string class_name = object.text("class_name");
  const auto found = kKerasFunctions.find(class_name);
  if (found == kKerasFunctions.end() || class_name == "Activation") {
    call.fields.refuse("Convoy has no activation of class " + class_name.substr(0, 100));
  }
  const KerasFields fields(config, object.where());
  return found->second({call.conversion, call.node, fields, call.inputs, call.is_activation});
}

}  // namespace

const KerasTable kKerasFunctions = {
    {"Activation", from_field}, {"ELU", elu}, {"LeakyReLU", leaky_relu}, {"ReLU", relu}, {"Softmax", softmax},
};

KerasValue keras_activation(const Call& call, const KerasValue& x) {
  const std::vector<KerasValue> inputs = {x};
  return from_field({call.conversion, call.node, call.fields, inputs, true});
}

}  // namespace convoy
