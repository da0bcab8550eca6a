// 3x3 convolutions of stride 1 by Winograd's algorithm F(4x4, 3x3) (Lavin and Gray, arXiv:1509.09308), for processors
// with AVX2: oneDNN has it for AVX-512 only.  A quarter of the products of a direct convolution, and about ten times
// its rounding error.
//
// An output tile of 4x4 pixels comes from 6x6 pixels: these and the 3x3 filters are transformed to 6x6 = 36 places, of
// which each is a matrix product over channels, [tiles, inputs] · [inputs, outputs]; the results are transformed back.
// Sums run over channels in their order; those of a weight gradient over 48 tiles at a time, which are added up in
// their order: the same bits with any number of threads.
#pragma once

#include "layers/kernel_cpu.h"

namespace convoy::winograd {

inline constexpr int kTile = 4;          // pixels of an output tile, each way
inline constexpr int kChannelBlock = 8;  // of the layout of activations

// Whether this processor can run what follows, and the environment (CONVOY_SIMD) lets it.
bool available();

// A convolution in tiles.  x and y are f32 in blocks of kChannelBlock channels; low_h and low_w are the padding above
// and to the left of x.
struct Tiles {
  Tiles(const ValueType& x, const ValueType& y, int low_h, int low_w);
  Tiles data_gradient() const;   // the convolution from dy to dx
  int64_t filter_bytes() const;  // of transformed filters
  int64_t workspace_bytes() const;
  int64_t part_bytes(int tiles) const;  // of the workspace, for so many at once

  ValueType x, y;
  int low_h, low_w;
  int rows, columns;           // of tiles, an image
  int count;                   // of tiles, all images
  int threads;                 // that share the work; those of the device
  int at_once;                 // tiles whose transforms are in the workspace, of all threads
  bool turns_filters = false;  // a data gradient: filters turned by 180 degrees, inputs and outputs exchanged
};

// Required of all that follow: tiles.filter_bytes() bytes at `filters`, tiles.workspace_bytes() at `workspace`.  The
// channels behind the last of x and dy are zeros; so are then those of what is written, but for tiles with an infinity
// or a NaN, where all channels are NaN.

// Transforms weights [O,3,3,I]: of a data gradient those of the convolution that it is the gradient of.
void transform_filters(const Tiles& tiles, const float* w, float* filters);

// What is done to a sum before it is written; null: nothing.
struct Epilogue {
  const float* bias = nullptr;  // [channels of y]
  const float* add = nullptr;   // of the type of y; may be y itself
  bool relu = false;
};

// y = the convolution of x, then the epilogue.
void convolve(const Tiles& tiles, const float* x, const float* filters, const Epilogue& epilogue, float* y,
              void* workspace);

// dw [O,3,3,I] and dbias [O] (null: not wanted) of dy, by way of `filters`.
void weight_gradient(const Tiles& tiles, const float* x, const float* dy, float* dw, float* dbias, float* filters,
                     void* workspace);

}  // namespace convoy::winograd
