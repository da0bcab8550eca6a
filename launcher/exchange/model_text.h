// A model file, layer by layer: what readers of foreign architectures write.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "launcher/config/yaml.h"

namespace convoy {

using LayerParameter = std::pair<std::string, Node>;

// Values of parameters.
Node yaml_word(std::string text);  // an identifier, a number as text
Node yaml_number(double value);
Node yaml_boolean(bool value);
Node yaml_pair(std::array<int, 2> pair);  // 3 where both are 3
Node yaml_list(const std::vector<int>& numbers);

// Names of layers: unique, and of the characters that a model file allows.
class LayerNames {
 public:
  // `wanted`, with other characters as '_' and a number behind it where it is taken.
  std::string take(const std::string& wanted);

 private:
  // How often a name was wanted.
  std::map<std::string, int> wanted_ = {{"image", 1},
                                        {"normalize", 1},
                                        {"softmax_cross_entropy", 1},
                                        {"distillation", 1},
                                        {"binary_cross_entropy", 1},
                                        {"mean_squared_error", 1}};
};
std::string legal_layer_name(const std::string& wanted);  // perhaps taken

class ModelText {
 public:
  static constexpr const char* kImage = "image";  // the input of the network

  struct Layer {
    std::string type, name;
    std::vector<std::string> inputs;  // names of layers before it, or kImage
    std::vector<LayerParameter> parameters = {};
  };
  void add(Layer layer) { layers_.push_back(std::move(layer)); }
  std::vector<Layer>& layers() { return layers_; }

  // 0 classes: not said.
  std::string yaml(const std::string& name, int classes) const;

 private:
  std::vector<Layer> layers_;
};

}  // namespace convoy
