// Resizing with a filter that widens when shrinking (antialias), as Pillow and torchvision do.
//
// Two passes of fixed-point sums, first along rows, then along columns, with the same arithmetic as Pillow's
// Resample.c: results are equal to Image.resize(size, BILINEAR or BICUBIC, box) of Pillow up to 12, bit for bit, at
// every instruction set.  Like Pillow, the four numbers of the box are rounded to float first.  Pillow 13 goes along
// columns first where the height shrinks by more than twice as many pixels as the width, and older ones in images more
// than 100 times as tall as wide: there BILINEAR differs by 1 level.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/simd.h"
#include "core/image/image.h"

namespace convoy {

enum class ResizeFilter { kBilinear, kBicubic };

// Memory is kept from image to image; so are filter weights, where box and sizes repeat.  Threads: one a thread.
class Resizer {
 public:
  explicit Resizer(ResizeFilter filter = ResizeFilter::kBilinear, SimdLevel level = simd_level());

  // The part `box` of `from` as an image of `size`.  `out` must not be `from`.
  // Requires: 1 or 3 channels, box inside `from` and not empty, size >= 1.
  void resize(const Image& from, const Box& box, ImageSize size, Image& out);

 private:
  // What each of `out_size` rows or columns is made of, of `in_size` of which [begin, end) are resized.
  struct Axis {
    int in_size = 0, out_size = 0;
    float begin = 0, end = 0;
    int taps = 0;                   // the largest count
    std::vector<int> first, count;  // [out_size]
    std::vector<int32_t> weights;   // [out_size][taps], times 2^22; zeros after count
    std::vector<double> unrounded;  // [taps]

    template <class Filter>
    void weigh();
    void prepare(int in, double from, double to, int out, ResizeFilter filter);
    bool copies() const { return in_size == out_size && begin == 0 && end == static_cast<float>(in_size); }
  };

  void resize_rows(const Image& from, int first_row, int rows);  // horizontal pass: to rows_
  void resize_columns(int first_row, Image& out);                // vertical pass

  ResizeFilter filter_;
  SimdLevel level_;
  Axis horizontal_, vertical_;
  size_t stride_ = 0;             // bytes from row to row of rows_
  std::vector<uint8_t> packed_;   // some rows side by side: [column][16]
  std::vector<uint8_t> resized_;  // likewise, after the horizontal pass
  std::vector<uint8_t> rows_;     // after the horizontal pass
};

}  // namespace convoy
