// Convolution by Winograd's algorithm, own code (winograd_cpu.h), on processors with AVX2; those with AVX-512 have
// oneDNN's (conv2d_cpu.cpp).
#pragma once

#include "layers/conv2d.h"

namespace convoy {

// Whether Winograd's algorithm F(4x4, 3x3) (arXiv:1509.09308) can compute this convolution and saves more products than
// its transforms cost: 3x3 filters of f32 at stride 1, of at least `channels` channels on both sides, where at least
// half of the pixels of the tiles of 4x4 are wanted.  Its sums are rounded more often: about 3e-6 of the largest
// element, against 3e-7.
bool suits_winograd(const Conv2dOptions& options, const ValueType& x, const Shape& y, int channels);

// Null where the algorithm is unsuitable, and on processors that cannot run this or have oneDNN's.
std::unique_ptr<Kernel> make_winograd_kernel(const Conv2d& layer, const CompileRequest& request);

}  // namespace convoy
