// All images of a store into one packed file.
#pragma once

#include <string>

#include "core/base/file.h"
#include "core/data/image_store.h"
#include "core/data/repack.h"
#include "core/data/survey.h"

namespace convoy {

struct PackReport {
  int64_t images = 0, bad = 0;
  int64_t bytes_before = 0;  // of the images' files
  int64_t bytes = 0;         // of the packed file
};

// Encodes on `threads` threads, writes in the order of the store: the same file for any number of threads.  Images that
// on_bad is told of are left out; it may throw instead.  Throws Error: kBadData where no image is left, kOutOfMemory,
// and what writing brings.
PackReport pack_images(const ImageStore& store, FileSystem& files, const std::string& path,
                       const RepackOptions& options, int threads, const OnBadImage& on_bad,
                       const OnProgress& on_progress);

}  // namespace convoy
