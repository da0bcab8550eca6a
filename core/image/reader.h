// One kind of image file.  Internal to core/image; ImageDecoder (decoder.h) picks the reader and tells the contract.
#pragma once

#include <memory>

#include "core/image/decoder.h"

namespace convoy {

class ImageReader {
 public:
  virtual ~ImageReader() = default;
  virtual ImageSize open(std::span<const std::byte> file, const std::string& name) = 0;
  virtual Box decode(const Rect& region, ImageSize enough, Image& out) = 0;
};

inline Box whole(const Image& image) {
  return {0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
}

// Throws for more than kMaxImagePixels.
void require_size(int64_t width, int64_t height, const std::string& name);

}  // namespace convoy
