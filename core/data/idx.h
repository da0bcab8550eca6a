// The IDX format of MNIST and Fashion-MNIST, plain or gzipped: http://yann.lecun.com/exdb/mnist, "FILE FORMATS".
//
// A file is: 0, 0, element type (8: unsigned byte), number of dimensions, each dimension as big-endian u32, elements.
// Strict: type, dimensions, exact size and label range are checked; nothing is allocated on the word of a header alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace convoy {

struct IdxArray {
  std::vector<int64_t> dims;      // 1 to 4, each >= 1
  std::vector<uint8_t> elements;  // their product, row-major
};

// `name` is for messages.  Throws Error(kBadData).
IdxArray parse_idx(std::span<const std::byte> file, const std::string& name);

// Of a file of images, without reading them.  Throws Error(kNoInput, kBadData).
ImagesHeader read_images_header(const std::string& path);

// Images [n,h,w] or [n,h,w,c] and labels [n], held in memory; those with the label `ignored` are left out.  Throws
// Error: kNoInput for a missing file, kBadData for one that is not what it claims to be or has another label outside
// 0..classes-1.
std::unique_ptr<Dataset> open_idx_files(const std::string& images_path, const std::string& labels_path, int classes,
                                        std::optional<int> ignored = {});

// The customary names in `directory`: {train,t10k}-{images-idx3,labels-idx1}-ubyte, with or without .gz.
std::unique_ptr<Dataset> open_idx(const std::string& directory, Split split, int classes);

}  // namespace convoy
