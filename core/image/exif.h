// How a camera was held: the EXIF orientation, and what follows from it.  Internal to core/image.
#pragma once

#include <cstddef>
#include <span>

#include "core/image/image.h"

namespace convoy {

// From the upright image to the stored one: exchange x and y if `transpose`, then count from the other side.
struct Orientation {
  bool transpose = false, flip_x = false, flip_y = false;
  friend bool operator==(const Orientation&, const Orientation&) = default;
};

// Of the contents of a JPEG's APP1 segment.  Without EXIF, or with one that is odd or damaged: as stored.
Orientation exif_orientation(std::span<const std::byte> app1);

ImageSize upright_size(ImageSize stored, Orientation orientation);
Rect stored_region(const Rect& upright, ImageSize stored, Orientation orientation);
Box upright_box(const Box& stored_box, ImageSize stored, Orientation orientation);
void make_upright(const Image& stored, Orientation orientation, Image& out);  // `out` must not be `stored`

}  // namespace convoy
