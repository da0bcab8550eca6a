// Pixels to files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/image/image.h"

namespace convoy {

// `quality` 1 to 100, chroma at half size (4:2:0), baseline.  Throws Error(kBadData) for a side above 65500.
std::vector<std::byte> encode_jpeg(const Image& image, int quality);
std::vector<std::byte> encode_png(const Image& image);
std::vector<std::byte> encode_pnm(const Image& image);  // PGM or PPM: a short header and the pixels

}  // namespace convoy
