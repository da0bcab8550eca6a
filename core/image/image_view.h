// An image in memory of somebody else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace convoy {

// [height, width, channels], without gaps; 1 channel is grey, 3 are RGB.  Never frees.
struct ImageView {
  uint8_t* pixels = nullptr;
  int width = 0, height = 0, channels = 0;

  size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
  size_t bytes() const { return row_bytes() * static_cast<size_t>(height); }
  int64_t area() const { return int64_t{width} * height; }
  uint8_t* row(int y) const { return pixels + static_cast<size_t>(y) * row_bytes(); }
};

}  // namespace convoy
