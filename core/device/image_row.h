// How a row of a batch is made from images [H,W,C] of bytes: what host and device do alike, to the bit.
#pragma once

#include "core/device/types.h"

namespace convoy {

// Flips, then shifts, then erases.  Pixel (x, y) of what comes out is:
//
//   fill                                           if x0 <= x < x1 and y0 <= y < y1
//   fill                                           if x + dx or y + dy lies outside the image
//   from(flip ? w - 1 - (x + dx) : x + dx, y + dy) else
struct CheapAugment {
  constexpr bool moves() const { return flip || dx != 0 || dy != 0; }
  constexpr bool erases() const { return x0 < x1; }

  bool flip = false;
  int dx = 0, dy = 0;                  // pixels
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // erased; empty where x0 == x1
  friend bool operator==(const CheapAugment&, const CheapAugment&) = default;
};

// The pixel of `image` that comes to (x, y); null: fill.
constexpr const uint8_t* source_pixel(const CheapAugment& it, const uint8_t* image, const Shape& shape, int x, int y) {
  const int u = x + it.dx, v = y + it.dy;
  const bool erased = x >= it.x0 && x < it.x1 && y >= it.y0 && y < it.y1;
  if (erased || u < 0 || u >= shape.w || v < 0 || v >= shape.h) return nullptr;
  return image + (int64_t{v} * shape.w + (it.flip ? shape.w - 1 - u : u)) * shape.c;
}

// Mixup and cutmix: weight/256 of the row's own image and the rest of its partner, but all partner inside a rectangle.
struct RowMix {
  static constexpr int kWhole = 256;
  int weight = kWhole;
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // empty where x0 == x1
  friend bool operator==(const RowMix&, const RowMix&) = default;

  constexpr bool any() const { return weight < kWhole || x0 < x1; }
};

// To nearest, halves up.
constexpr uint8_t blended(int weight, uint8_t own, uint8_t partner) {
  return static_cast<uint8_t>((weight * own + (RowMix::kWhole - weight) * partner + RowMix::kWhole / 2) >> 8);
}

// Images of one shape, one behind the other.
struct ImageSet {
  const uint8_t* pixels = nullptr;  // [any,H,W,C]
  Shape shape;                      // n is not looked at
  uint8_t fill = 0;                 // what pixels become that come from nowhere

  constexpr int64_t bytes() const { return int64_t{shape.h} * shape.w * shape.c; }  // of one image
};

// A row of a batch, made of one or two images of a set.
struct ImageRow {
  int64_t own = 0, partner = 0;  // numbers in the set
  CheapAugment own_augment = {}, partner_augment = {};
  RowMix mix = {};

  constexpr bool plain() const { return !own_augment.moves() && !own_augment.erases() && !mix.any(); }
};

// All channels of pixel (x, y) of a row.
constexpr void gather_pixel(const ImageRow& row, const ImageSet& images, int x, int y, uint8_t* to) {
  const auto source = [&](int64_t number, const CheapAugment& augment) {
    return source_pixel(augment, images.pixels + number * images.bytes(), images.shape, x, y);
  };
  const int channels = images.shape.c;
  const uint8_t* const own = source(row.own, row.own_augment);
  for (int c = 0; c < channels; ++c) to[c] = own == nullptr ? images.fill : own[c];
  if (!row.mix.any()) return;
  const uint8_t* const partner = source(row.partner, row.partner_augment);
  const bool inside = x >= row.mix.x0 && x < row.mix.x1 && y >= row.mix.y0 && y < row.mix.y1;
  const int weight = inside ? 0 : row.mix.weight;
  for (int c = 0; c < channels; ++c) to[c] = blended(weight, to[c], partner == nullptr ? images.fill : partner[c]);
}

}  // namespace convoy
