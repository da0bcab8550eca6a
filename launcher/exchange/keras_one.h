// Layers as Keras 1 wrote them, under the names of Keras 2 and 3.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace convoy {

// Renames classes and keys everywhere in a model_config: Convolution2D {nb_filter, nb_row, nb_col, border_mode,
// subsample} becomes Conv2D {filters, kernel_size, padding, strides}.  Throws Error(kConfig) for what Keras 1 had and
// Convoy has not, beginning with `where`.
void modernize_keras_one(nlohmann::json& document, const std::string& where);

}  // namespace convoy
