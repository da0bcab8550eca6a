#include "launcher/exchange/keras_one.h"

#include <map>
#include <utility>

#include "core/base/error.h"
#include "launcher/exchange/keras_json.h"

namespace convoy {
namespace {

using nlohmann::json;

void rename(json& config, const char* from, const char* to) {
  if (!config.contains(from)) return;
  json value = std::move(config[from]);
  config.erase(from);
  config[to] = std::move(value);
}

// Sums and products of layers were one class, told apart by a mode.
std::string merge_class(const KerasFields& fields) {
  static const std::map<std::string, std::string> kModes = {
      {"sum", "Add"}, {"concat", "Concatenate"}, {"mul", "Multiply"}};
  const auto found = kModes.find(fields.text_or("mode", "sum"));
  if (found == kModes.end()) fields.refuse("Convoy has no merge of mode '" + fields.text("mode") + "'");
  return found->second;
}

void modernize(json& layer, const std::string& where) {
  static const std::map<std::string, std::string> kClasses = {
      {"AtrousConvolution2D", "Conv2D"}, {"Convolution2D", "Conv2D"}, {"SeparableConvolution2D", "SeparableConv2D"}};
  static const std::pair<const char*, const char*> kKeys[] = {
      {"atrous_rate", "dilation_rate"},
      {"bias", "use_bias"},
      {"border_mode", "padding"},
      {"concat_axis", "axis"},
      {"nb_filter", "filters"},
      {"output_dim", "units"},
      {"p", "rate"},
      {"subsample", "strides"},
  };
  json& config = layer["config"];
  const auto class_name = layer["class_name"].get<std::string>();
  const KerasFields fields(config, where + ": layer of class " + class_name.substr(0, 100));
  // "th" is channels first; data_format says it in words.
  if (fields.has("dim_ordering")) {
    config["data_format"] = fields.text("dim_ordering") == "tf" ? "channels_last" : "channels_first";
  }
  if (class_name == "Merge") layer["class_name"] = merge_class(fields);
  if (const auto found = kClasses.find(class_name); found != kClasses.end()) layer["class_name"] = found->second;
  if (fields.has("nb_row")) config["kernel_size"] = json::array({fields.integer("nb_row"), fields.integer("nb_col")});
  for (const auto& [from, to] : kKeys) rename(config, from, to);
}

}  // namespace

void modernize_keras_one(json& document, const std::string& where) {
  for (json& child : document) {
    if (child.is_structured()) modernize_keras_one(child, where);
  }
  const bool layer = document.is_object() && document.contains("class_name") && document["class_name"].is_string() &&
                     document.contains("config") && document["config"].is_object();
  if (layer) modernize(document, where);
}

}  // namespace convoy
