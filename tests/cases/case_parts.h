// Parts of the table of layer_cases.h that have a file of their own.
#pragma once

#include "tests/cases/layer_cases.h"

namespace convoy {

// For layers whose options the arguments are: {"relu", make<Relu>(), …}.
template <class L, class... Arguments>
std::function<std::unique_ptr<Layer>()> make(Arguments... arguments) {
  return [=] { return std::make_unique<L>(arguments...); };
}

std::vector<LayerCase> activation_cases();
std::vector<LayerCase> batch_norm_cases();
std::vector<LayerCase> gate_cases();   // and pools of whole images
std::vector<LayerCase> image_cases();  // layers that change the size of images
std::vector<LayerCase> norm_cases();   // others than of batches

}  // namespace convoy
