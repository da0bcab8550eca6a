// The layer types that a model file may name, and how each is made from its parameters.
#pragma once

#include <map>
#include <memory>
#include <string_view>

#include "core/graph/layer.h"
#include "launcher/config/params.h"
#include "layers/weight_initializer.h"

namespace convoy {

// Reads the parameters that the type has.  `number` counts the layers of one type, from 1.  Throws Error(kConfig).
using MakeLayer = std::unique_ptr<Layer> (*)(Params& params, int number);

// The parameter `initializer` of a layer with weights: a name, or {name: number}.
WeightInitializer weight_initializer(Params& params);

// By the name of the type in YAML.  A new layer is one line in layer_table.cpp.
extern const std::map<std::string_view, MakeLayer> kLayerTable;

}  // namespace convoy
