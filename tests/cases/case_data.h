// What the layers of the case table are fed with: the same numbers in every run, on every device.
#pragma once

#include "tests/cases/layer_cases.h"
#include "tests/reference/reference.h"

namespace convoy {

std::vector<Shape> parameter_shapes(const LayerCase& it);
std::vector<Shape> state_shapes(const LayerCase& it);
// Of input i, where activations have `compute`: pixels are u8 and targets i32.
Dtype input_dtype(const LayerCase& it, size_t i, Dtype compute);
bool wants_dx(const LayerCase& it, size_t i);
bool wants_dw(const LayerCase& it);

// Values that `dtype` can hold, so that only a kernel's own rounding counts.  The activations of a tensor are distinct
// before that rounding, and never 0.
reference::Inputs draw_inputs(const LayerCase& it, Dtype dtype, uint64_t seed);

// The first draw that is not so near to the kink of a fused relu that rounding could carry an element across.
reference::Inputs inputs_off_kinks(const LayerCase& it, Dtype dtype);

}  // namespace convoy
