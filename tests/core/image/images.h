// Images for tests, and what to compare them by.  tests/oracles/pillow_values.py has the same in Python.
#pragma once

#include <cstdint>
#include <span>

#include "core/image/image.h"
#include "core/image/image_view.h"

namespace convoy {

// Noise of low .. high, the same everywhere.
inline Image noise_image(int width, int height, int channels, int low = 0, int high = 255) {
  Image image;
  image.resize(width, height, channels);
  uint32_t state = 1;
  for (uint8_t& pixel : image.pixels) {
    state = state * 1664525 + 1013904223;
    pixel = static_cast<uint8_t>(low + (static_cast<int>(state >> 24) * (high - low + 1) >> 8));
  }
  return image;
}

inline uint64_t fnv1a(std::span<const uint8_t> bytes) {
  uint64_t value = 0xcbf29ce484222325;
  for (const uint8_t byte : bytes) value = (value ^ byte) * 0x100000001b3;
  return value;
}

inline ImageView view(Image& image) { return {image.pixels.data(), image.width, image.height, image.channels}; }

}  // namespace convoy
