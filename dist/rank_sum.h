// The sum over ranks wherever ranks share memory; one function, so that every transport adds in the same order.
#pragma once

#include <cstddef>
#include <span>

#include "core/device/types.h"

namespace convoy {

// Element i of every target becomes the sum of element i of all sources, added in the order of `sources`:
// f32; bf16, added in f32 and rounded once; i32, wrapping.  With one source it is a copy, of any dtype.
// A target is one of the sources or does not overlap any.  Requires: at least one source.
void sum_over_ranks(Dtype dtype, std::span<std::byte* const> sources, std::span<std::byte* const> targets,
                    int64_t elements);

// Whether this dtype can be summed.
constexpr bool has_sum(Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kBF16 || dtype == Dtype::kI32; }

}  // namespace convoy
