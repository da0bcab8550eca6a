// Made-up photographs: smooth colours and noise, of any size.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>

#include "core/base/rng.h"
#include "core/image/encoder.h"
#include "tests/core/base/testing.h"

namespace convoy {

inline Image picture(int width, int height, uint64_t seed, int channels = 3) {
  Image image;
  image.resize(width, height, channels);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const Random4 noise = philox(seed, static_cast<uint64_t>(y), static_cast<uint64_t>(x));
      for (int c = 0; c < channels; ++c) {
        const double wave = std::sin((x * (c + 1) + y) * 0.05 + static_cast<double>(seed % 7));
        image.row(y)[x * channels + c] = static_cast<uint8_t>(110 + 90 * wave + noise[static_cast<size_t>(c)] % 32);
      }
    }
  }
  return image;
}

inline void put_bytes(const std::string& path, const std::vector<std::byte>& bytes) {
  put_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// root/a/0.jpg, root/b/1.jpg, …: `count` images of different sizes in `classes` classes.
inline void put_pictures(const std::string& root, int count, int classes) {
  for (int i = 0; i < count; ++i) {
    const std::string folder = root + "/" + static_cast<char>('a' + i % classes);
    std::filesystem::create_directories(folder);
    const Image image = picture(60 + i % 50, 90 - i % 40, static_cast<uint64_t>(i));
    put_bytes(folder + "/" + std::to_string(i) + ".jpg", encode_jpeg(image, 90));
  }
}

}  // namespace convoy
