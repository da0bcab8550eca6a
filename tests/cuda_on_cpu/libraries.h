// What the fake of layers/libraries_cuda.h can be told.
#pragma once

#include <functional>

#include "layers/libraries_cuda.h"

namespace convoy::cuda_on_cpu {

// Convolutions that the libraries have no engine for; empty: they have one for all.
std::function<bool(const ConvolutionSpec&)>& refused_convolutions();

}  // namespace convoy::cuda_on_cpu
