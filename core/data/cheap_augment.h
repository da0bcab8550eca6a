// The augmentations that only move or blank pixels: flip, shift and one erased rectangle.
//
// draw_cheap() decides, apply() does it on the host.  Where data lie in device memory the device does the same from
// the same CheapAugment.  Pixel (x, y) of what comes out is:
//
//   fill                                           if x0 <= x < x1 and y0 <= y < y1
//   fill                                           if x + dx or y + dy lies outside the image
//   from(flip ? w - 1 - (x + dx) : x + dx, y + dy) else
//
// that is: flip, then shift, then erase.
#pragma once

#include <cstdint>

#include "core/device/types.h"

namespace convoy {

struct CheapAugmentOptions {
  double flip = 0;   // probability of a horizontal flip
  int pad_crop = 0;  // pixels of padding on each side, before a crop of the old size; 4 is usual for CIFAR
  int cutout = 0;    // side in pixels of a square around a random pixel, cut off at the border; 0 is none
  double erase = 0;  // probability of random erasing, as torchvision's RandomErasing; not together with cutout
  double erase_scale_min = 0.02, erase_scale_max = 0.33;  // part of the area
  double erase_ratio_min = 0.3, erase_ratio_max = 3.3;    // height / width

  bool any() const { return flip > 0 || pad_crop > 0 || cutout > 0 || erase > 0; }
};

struct CheapAugment {
  bool moves() const { return flip || dx != 0 || dy != 0; }

  bool flip = false;
  int dx = 0, dy = 0;                  // pixels, -pad_crop .. pad_crop
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // erased; empty where x0 == x1
  friend bool operator==(const CheapAugment&, const CheapAugment&) = default;
};

// A pure function of its arguments; key: random_key(RandomUse::kAugment, seed).  sample.n is not looked at.
CheapAugment draw_cheap(const CheapAugmentOptions& options, const Shape& sample, uint64_t key, int64_t epoch,
                        int64_t i);

// One sample [H,W,C] of any number of channels; every channel of blank pixels becomes `fill`.
// Requires: `to` does not overlap `from`.
void apply(const CheapAugment& augment, const Shape& sample, const uint8_t* from, uint8_t* to, uint8_t fill);

// The last part of it alone, in place.
void erase(const CheapAugment& augment, const Shape& sample, uint8_t* pixels, uint8_t fill);

}  // namespace convoy
