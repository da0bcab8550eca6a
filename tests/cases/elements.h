// Tensors of any dtype and layout, element by element: for tests, not for speed.
#pragma once

#include "core/device/types.h"
#include "tests/reference/reference.h"

namespace convoy {

// Overwrites all of `tensor`; padding channels become zeros.
void write(const Tensor& tensor, const reference::Array& values);
reference::Array read(const Tensor& tensor);
// Whether the channels that only fill up the last block are zeros.
bool padding_is_zero(const Tensor& tensor);

}  // namespace convoy
