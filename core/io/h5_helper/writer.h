// An HDF5 file, from what is said of it.
#pragma once

#include "core/io/hdf5_stream.h"

namespace convoy::h5 {

// Writes descriptor 0, empty before.  Throws Error(kBadData) that begins with the path of the object.
void write_all(Hdf5Decoder& in);

}  // namespace convoy::h5
