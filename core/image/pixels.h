// Rows of pixels from one kind to another, with the arithmetic of Pillow's convert().  Internal to core/image.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy {

// n pixels each; `out` must not overlap.
void rgb_to_grey(const uint8_t* rgb, size_t n, uint8_t* grey);
void grey_to_rgb(const uint8_t* grey, size_t n, uint8_t* rgb);

// CMYK as Adobe's programs write it and Pillow takes all of it: 0 is full ink.
void inverted_cmyk_to_rgb(const uint8_t* cmyk, size_t n, uint8_t* rgb);

}  // namespace convoy
