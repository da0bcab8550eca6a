// Kernels that the program inserts by itself: copies between layouts and dtypes, and sums of gradients.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

// See KernelFactory.  f32 and bf16, any layout; a sum is rounded once.
std::unique_ptr<Kernel> make_cpu_conversion(const ValueType& from, const ValueType& to, bool wants_dx);
std::unique_ptr<Kernel> make_cpu_sum(const ValueType& type, int terms);

}  // namespace convoy
