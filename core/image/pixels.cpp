#include "core/image/pixels.h"

#include "core/base/simd.h"

// Loops are functions: bytes that are written might be the pointers that a lambda holds, which keeps the compiler from
// using vectors, but never the arguments of a function.
namespace convoy {
namespace {

CONVOY_INLINE inline void rgb_to_grey_loop(const uint8_t* rgb, size_t n, uint8_t* __restrict grey) {
  for (size_t i = 0; i < n; ++i) grey[i] = static_cast<uint8_t>(luma(rgb + 3 * i));
}

CONVOY_INLINE inline void grey_to_rgb_loop(const uint8_t* grey, size_t n, uint8_t* __restrict rgb) {
  for (size_t i = 0; i < n; ++i) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = grey[i];
}

CONVOY_INLINE inline void inverted_cmyk_to_rgb_loop(const uint8_t* cmyk, size_t n, uint8_t* __restrict rgb) {
  for (size_t i = 0; i < n; ++i) {
    const int light = cmyk[4 * i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[4 * i + c]) * light + 128;
      rgb[3 * i + c] = static_cast<uint8_t>(light - ((product + (product >> 8)) >> 8));  // divided by 255, rounded
    }
  }
}

}  // namespace

void rgb_to_grey(const uint8_t* rgb, size_t n, uint8_t* grey) {
  simd([=]() CONVOY_INLINE { rgb_to_grey_loop(rgb, n, grey); });
}

void grey_to_rgb(const uint8_t* grey, size_t n, uint8_t* rgb) {
  simd([=]() CONVOY_INLINE { grey_to_rgb_loop(grey, n, rgb); });
}

void inverted_cmyk_to_rgb(const uint8_t* cmyk, size_t n, uint8_t* rgb) {
  simd([=]() CONVOY_INLINE { inverted_cmyk_to_rgb_loop(cmyk, n, rgb); });
}

}  // namespace convoy
