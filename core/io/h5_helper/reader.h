// Everything that an HDF5 file holds, said on.
#pragma once

#include <cstdint>

#include "core/io/hdf5_stream.h"

namespace convoy::h5 {

// Reads descriptor 0.  Throws Error(kBadData) that begins with the path of the object.
void read_all(int64_t file_bytes, Hdf5Encoder& out);

}  // namespace convoy::h5
