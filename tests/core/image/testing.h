// Images and files for the tests of core/image.
#pragma once

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <jpeglib.h>

#include "core/image/decoder.h"
#include "tests/core/base/testing.h"

namespace convoy {

inline constexpr ImageSize kFullSize = {INT_MAX, INT_MAX};  // as `enough`: do not reduce

// Slow waves, edges and some noise: what makes neighbouring blocks and chroma samples differ.
inline Image make_photo(int width, int height, int channels, uint64_t seed = 1) {
  Image image;
  image.resize(width, height, channels);
  uint64_t state = seed;
  for (int y = 0; y < height; ++y)
    for (int i = 0; i < width * channels; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const int x = i / channels, c = i % channels, noise = static_cast<int>(state >> 60);
      const int wave = (x * (3 + c) + y * (5 - c)) % 200, edge = (x / 13 + y / 9 + c) % 3 == 0 ? 40 : 0;
      image.row(y)[i] = static_cast<uint8_t>(std::min(255, wave + edge + noise));
    }
  return image;
}

inline Image crop(const Image& image, const Rect& region) {
  Image out;
  out.resize(region.width, region.height, image.channels);
  for (int y = 0; y < region.height; ++y)
    std::memcpy(out.row(y), image.row(region.y + y) + region.x * image.channels, out.row_bytes());
  return out;
}

inline void expect_same(const Image& found, const Image& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  ASSERT_EQ(found.channels, expected.channels) << what;
  const auto at = std::mismatch(found.pixels.begin(), found.pixels.end(), expected.pixels.begin()).first;
  if (at == found.pixels.end()) return;
  const auto i = (at - found.pixels.begin()) / found.channels;
  ADD_FAILURE() << what << ": differs first at " << i % found.width << "," << i / found.width;
}

inline std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }
inline std::string text_of(const std::vector<std::byte>& file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

inline Image decode_all(const std::string& file, int channels) {
  ImageDecoder decoder(channels);
  const ImageSize size = decoder.open(bytes_of(file), "f");
  Image image;
  decoder.decode({0, 0, size.width, size.height}, kFullSize, image);
  return image;
}

// Part of the file, or none of it.
inline void expect_bad_image(const std::vector<std::string>& parts, const std::string& file) {
  std::vector<std::string> all = parts;
  all.insert(all.begin(), "f: ");
  expect_error(ExitCode::kBadData, all, [&] { decode_all(file, 3); });
}

struct JpegOptions {
  std::vector<std::pair<int, int>> sampling = {};  // of each channel, h and v; empty: libjpeg's 4:2:0
  bool arithmetic = false;
  std::vector<jpeg_scan_info> scans = {};
  bool progressive = false;
  unsigned restart = 0;                 // blocks (MCUs)
  J_COLOR_SPACE colours = JCS_UNKNOWN;  // of the file; JCS_UNKNOWN: libjpeg's default for the number of channels
  int quality = 90;
  bool tables = true;
};

// A mistake here ends the test program with libjpeg's message.
inline std::string make_jpeg(const Image& image, const JpegOptions& options = {}) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr error;
  jpeg.err = jpeg_std_error(&error);
  jpeg_create_compress(&jpeg);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &bytes, &size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = image.channels;
  constexpr J_COLOR_SPACE kColours[] = {JCS_UNKNOWN, JCS_GRAYSCALE, JCS_UNKNOWN, JCS_RGB, JCS_CMYK};
  jpeg.in_color_space = kColours[image.channels];
  jpeg_set_defaults(&jpeg);
  if (options.colours != JCS_UNKNOWN) jpeg_set_colorspace(&jpeg, options.colours);
  jpeg_set_quality(&jpeg, options.quality, TRUE);
  for (size_t c = 0; c < options.sampling.size(); ++c) {
    jpeg.comp_info[c].h_samp_factor = options.sampling[c].first;
    jpeg.comp_info[c].v_samp_factor = options.sampling[c].second;
  }
  jpeg.arith_code = options.arithmetic ? TRUE : FALSE;
  jpeg.restart_interval = options.restart;
  if (options.progressive) jpeg_simple_progression(&jpeg);
  if (!options.scans.empty()) {
    jpeg.scan_info = options.scans.data();
    jpeg.num_scans = static_cast<int>(options.scans.size());
  }
  if (!options.tables) jpeg_suppress_tables(&jpeg, TRUE);
  jpeg_start_compress(&jpeg, options.tables ? TRUE : FALSE);
  for (int y = 0; y < image.height; ++y) {
    auto* row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string file(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&jpeg);
  std::free(bytes);
  return file;
}

// The contents of an APP1 segment that says how the camera was held.
inline std::string make_exif(int orientation, bool big_endian = false) {
  const auto number = [&](int value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * (big_endian ? bytes - 1 - i : i));
    return text;
  };
  const auto entry = [&](int tag, int value) {
    return number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + number(0, 2);
  };
  return std::string("Exif\0\0", 6) + (big_endian ? "MM" : "II") + number(42, 2) + number(8, 4) + number(2, 2) +
         entry(0x106, 2) + entry(0x112, orientation) + number(0, 4);
}

inline std::string with_app1(const std::string& jpeg, const std::string& contents) {
  const size_t length = contents.size() + 2;
  const std::string head = {'\xff', '\xe1', static_cast<char>(length >> 8), static_cast<char>(length)};
  return jpeg.substr(0, 2) + head + contents + jpeg.substr(2);
}

}  // namespace convoy
