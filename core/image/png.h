// PNG through libpng.  Internal to core/image.
#pragma once

#include "core/image/reader.h"

namespace convoy {

std::unique_ptr<ImageReader> make_png_reader(int channels);

}  // namespace convoy
