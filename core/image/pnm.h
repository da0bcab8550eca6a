// Binary PGM and PPM with 8 bits a channel (Netpbm's P5 and P6).  Internal to core/image.
#pragma once

#include "core/image/reader.h"

namespace convoy {

std::unique_ptr<ImageReader> make_pnm_reader(int channels);

}  // namespace convoy
