// Every image of a store, read and decoded: which are bad, and what the others are.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/data/image_store.h"
#include "core/image/image.h"

namespace convoy {

// Sums over pixels as they are in the file, 0 to 255, by channel; grey counts as three equal channels.
struct PixelSums {
  int64_t pixels = 0;
  std::array<double, 3> values = {}, squares = {};  // whole numbers, exact up to 2^53

  void add(const Image& image);  // Requires: 3 channels.
  void add(const PixelSums& other);
  double mean(int channel) const;  // of pixels / 255
  double deviation(int channel) const;
};

struct Extent {
  int64_t count = 0, least = 0, most = 0;
  double sum = 0;

  void add(int64_t value);
  double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
};

struct Survey {
  int64_t images = 0, bad = 0;               // bad ones are counted here and nowhere below
  std::vector<int64_t> by_class;             // images
  std::map<std::string, int64_t> by_format;  // "JPEG": images
  Extent width, height, bytes;
  PixelSums pixels;
};

using OnBadImage = std::function<void(const std::string& name, const std::string& reason)>;
using OnProgress = std::function<void(int64_t images)>;  // done so far

// Reads and decodes all images on `threads` threads, and has the store verify them.  `on_bad` is called in the order of
// the images, on the calling thread.  Throws Error(kOutOfMemory): that is no fault of an image.
Survey survey_images(const ImageStore& store, int threads, const OnBadImage& on_bad, const OnProgress& on_progress);

// What is wrong with an image, without its name, which Error::what() begins with where a decoder found it.
std::string reason_of(const std::string& what, const std::string& name);

}  // namespace convoy
