// What `convoy data pack` makes of an image: its file as it is, a smaller JPEG, or its pixels.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "core/image/decoder.h"
#include "core/image/resize.h"

namespace convoy {

struct RepackOptions {
  int side = 0;          // the shorter side at most: larger images are made smaller; 0: as large as they are
  int quality = 90;      // of JPEGs that are made here
  bool decoded = false;  // PGM or PPM instead of JPEG
};

// Threads: one a thread.
class Repacker {
 public:
  explicit Repacker(const RepackOptions& options) : options_(options), decoder_(3) {}

  // The file to store for `file`.  Without `decoded`, an image that is small enough stays what it is, once it is known
  // that it can be decoded.  One that is made here is upright, and grey where all its pixels are. Throws
  // Error(kBadData) naming the image.
  std::vector<std::byte> operator()(std::span<const std::byte> file, const std::string& name);

 private:
  const RepackOptions options_;
  ImageDecoder decoder_;
  Resizer resizer_;
  Image decoded_, resized_;
};

}  // namespace convoy
