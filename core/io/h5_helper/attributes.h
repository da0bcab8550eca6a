// The text attributes of an object.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/io/h5_helper/handles.h"
#include "core/io/hdf5.h"

namespace convoy::h5 {

// Others than texts and lists of texts are left out.  A list without elements may be of any type: NumPy's is of
// numbers.  Throws Error(kBadData) that begins with `path`, that of the object.
std::vector<Hdf5Attribute> read_attributes(hid_t object, const std::string& path, int64_t file_bytes);

void write_attribute(hid_t object, const std::string& path, const Hdf5Attribute& attribute);

}  // namespace convoy::h5
