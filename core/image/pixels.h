// Rows of pixels from one kind to another, with the arithmetic of Pillow's convert().  Internal to core/image.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/simd.h"

namespace convoy {

// ITU-R 601, in 16 bits of fraction: 0 .. 255.
CONVOY_INLINE inline int luma(const uint8_t* rgb) {
  return (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
}

// n pixels each; `out` must not overlap.
void rgb_to_grey(const uint8_t* rgb, size_t n, uint8_t* grey);
void grey_to_rgb(const uint8_t* grey, size_t n, uint8_t* rgb);

// CMYK as Adobe's programs write it and Pillow takes all of it: 0 is full ink.
void inverted_cmyk_to_rgb(const uint8_t* cmyk, size_t n, uint8_t* rgb);

}  // namespace convoy
