// JPEG, PNG and PNM files to pixels: only the region that is wanted, as small as is good enough.
//
// The kind of a file is told by its first bytes.  JPEG: baseline, progressive, arithmetic; grey, YCbCr, RGB, CMYK and
// YCCK; the EXIF orientation is applied.  PNG: every kind; alpha is dropped, 16 bits a channel are rounded to 8.
// PNM: binary PGM and PPM of 8 bits, which are decoded images as a packed file holds them.
// Colours are those of Pillow's Image.open(…).convert("RGB") or ("L"), to the bit; but of 16 bits Pillow takes the high
// byte, and of grey ones makes all above 255 white.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/image/image.h"

namespace convoy {

inline constexpr int64_t kMaxImagePixels = 178'956'970;  // of one file; Pillow's limit too

// Memory is kept from image to image.  Threads: one decoder a thread.
class ImageDecoder {
 public:
  explicit ImageDecoder(int channels);  // of what it makes: 1 or 3
  ~ImageDecoder();

  // Reads the header; returns the size of the upright image.  `file` must stay until the next open(), `name` is for
  // messages.  Throws Error(kBadData) for what is not such a file, is damaged, or has more than kMaxImagePixels.
  ImageSize open(std::span<const std::byte> file, const std::string& name);

  const char* format() const;  // of the open file: "JPEG", "PNG" or "PNM"

  // Decodes `region` of the upright image into `out`: the same pixels as those of the whole image.  A JPEG is reduced
  // by 2, 4 or 8 while decoding (with DCT scaling, much faster) as far as both sides of the region stay >= `enough`,
  // unless its colours are sampled in very odd ways, such as 4:1:0.  Returns where in `out` the region is; all of it
  // when nothing was reduced.  Any number of calls after one open().  Requires: 0 < region inside the image.
  // Throws Error(kBadData) for a file that ends early or is damaged, where this is found on the way: rows above the
  // region are looked at, those below are not.  What is harmless, such as a few bytes between segments, is no error.
  Box decode(const Rect& region, ImageSize enough, Image& out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace convoy
