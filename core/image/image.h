// Images of 8 bits a channel, as all of core/image hands them on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace convoy {

struct ImageSize {
  int width = 0, height = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// Whole pixels of an image: x .. x + width - 1, y .. y + height - 1.
struct Rect {
  int x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const Rect&, const Rect&) = default;
};

// A part of an image in pixels and fractions of them; pixel p covers [p, p + 1).
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

// [height, width, channels], without gaps; 1 channel is grey, 3 are RGB.
struct Image {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;

  // Keeps its memory when it shrinks, so that a thread that decodes one image after the other soon allocates no more.
  void resize(int new_width, int new_height, int new_channels) {
    width = new_width, height = new_height, channels = new_channels;
    pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(channels));
  }
  size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * row_bytes(); }
  ImageSize size() const { return {width, height}; }
};

}  // namespace convoy
