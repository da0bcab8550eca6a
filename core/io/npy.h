// The NPY format of NumPy, versions 1 to 3: one array in a file.  numpy.lib.format, "Format Version 1.0" and on.
//
// "\x93NUMPY", version, length of the header, the header (a Python dict literal), the elements.
// Read strictly: little-endian numbers in C order, exactly as many as the header says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy {

struct NpyHeader {
  std::string type;           // "|u1", "|i1", "|b1", "<u2", "<i2", … "<i8", "<f2", "<f4", "<f8"
  std::vector<int64_t> dims;  // each >= 0; none for a scalar
  int64_t data_offset = 0;    // bytes
};

inline constexpr int64_t kMaxNpyHeaderBytes = 16384;  // of the beginning of a file: no header needs more

// `beginning` is the file, or the first kMaxNpyHeaderBytes of it; `name` is for messages.  Throws Error(kBadData).
NpyHeader parse_npy_header(std::span<const std::byte> beginning, const std::string& name);

struct NpyArray {
  std::string type;
  std::vector<int64_t> dims;
  std::vector<uint8_t> bytes;  // of the elements
};

// Takes the whole of a file.  Throws Error(kBadData).
NpyArray parse_npy(std::vector<uint8_t> file, const std::string& name);

// Whole numbers of any type.  Throws Error(kBadData) for other types, and for what does not fit, naming the element.
std::vector<int32_t> npy_integers(const NpyArray& array, const std::string& name);

// Throws Error(kBadData) for any type but |u1, saying how to save that.
void require_npy_pixels(const std::string& type, const std::string& name);

}  // namespace convoy
