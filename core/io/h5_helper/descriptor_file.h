// HDF5 files on descriptor 0: libhdf5 itself would open files by their paths.
#pragma once

#include <cstdint>

#include "core/io/h5_helper/handles.h"

namespace convoy::h5 {

Id open_descriptor_file(int64_t size);  // to read; bytes
Id create_descriptor_file();            // to write, empty; as old a format as possible

}  // namespace convoy::h5
