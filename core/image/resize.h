// Resizing with a triangle filter that widens when shrinking (antialias), as Pillow's BILINEAR and torchvision do.
//
// Two passes of fixed-point sums, the same arithmetic as Pillow's Resample.c: results are equal to Pillow's
// Image.resize(size, BILINEAR, box), bit for bit, at every instruction set.
#pragma once

#include "core/image/image.h"

namespace convoy {

// Memory and filter weights are kept from image to image.  Threads: one a thread.
class Resizer {
 public:
  // The part `box` of `from` as an image of `size`.  `out` must not be `from`.
  // Requires: box inside `from` and not empty, size >= 1.
  void resize(const Image& from, const Box& box, ImageSize size, Image& out);

 private:
  std::vector<uint8_t> rows_;  // after the horizontal pass
};

}  // namespace convoy
