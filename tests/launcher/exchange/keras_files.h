// Files of Keras as their configurations say them, for tests.
#pragma once

#include <string>
#include <vector>

#include "core/io/keras_file.h"

namespace convoy {

// `count` elements 0, 1, 2, … of these dims.
inline HostTensor counted(const std::string& name, const std::vector<int64_t>& dims) {
  HostTensor tensor{name, dims, {}};
  int64_t elements = 1;
  for (const int64_t dim : dims) elements *= dim;
  for (int64_t i = 0; i < elements; ++i) tensor.values.push_back(static_cast<float>(i));
  return tensor;
}

inline KerasFile keras_model(const std::string& model_config, const std::string& version = "3.15.1") {
  KerasFile file;
  file.path = "m.h5";
  file.keras_version = version;
  file.model_config = model_config;
  return file;
}

// A Sequential of 8x9x3 images; `layers` are entries behind the InputLayer.
inline std::string sequential(const std::string& layers) {
  return R"({"class_name": "Sequential", "config": {"name": "net", "layers": [{"class_name": "InputLayer", "config":
      {"batch_shape": [null, 8, 9, 3], "name": "input_layer"}}, )" +
         layers + "]}}";
}

inline std::string keras_layer(const std::string& class_name, const std::string& name, const std::string& config = "") {
  return R"({"class_name": ")" + class_name + R"(", "config": {"name": ")" + name + '"' +
         (config.empty() ? "" : ", " + config) + "}}";
}

}  // namespace convoy
