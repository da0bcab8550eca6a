#include "core/image/encoder.h"

#include <algorithm>
#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>

#include <jpeglib.h>
#include <png.h>

#include <jerror.h>  // after jpeglib.h: its codes depend on it

#include "core/base/error.h"
#include "core/image/guard.h"

namespace convoy {
namespace {

[[noreturn]] void fail(j_common_ptr jpeg) {
  auto& guard = *static_cast<Guard*>(jpeg->client_data);
  jpeg->err->format_message(jpeg, guard.message.data());
  std::longjmp(guard.target, 1);
}

// A compressor and the memory that libjpeg puts the file into.
struct JpegFile {
  JpegFile() {
    jpeg.err = jpeg_std_error(&error);
    error.error_exit = fail;
    jpeg.client_data = &guard;
  }
  JpegFile(const JpegFile&) = delete;
  JpegFile& operator=(const JpegFile&) = delete;
  ~JpegFile() {
    jpeg_destroy_compress(&jpeg);
    std::free(bytes);
  }

  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr error = {};
  Guard guard;
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
};

void write_jpeg(JpegFile& file, const Image& image, int quality) {
  jpeg_compress_struct& jpeg = file.jpeg;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &file.bytes, &file.size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = image.channels;
  jpeg.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);  // 4:2:0
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < image.height; ++y) {
    auto* row = const_cast<JSAMPROW>(image.row(y));  // which libjpeg only reads
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
}

void require_image(const Image& image) {
  CHECK(image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3));
}

}  // namespace

std::vector<std::byte> encode_jpeg(const Image& image, int quality) {
  require_image(image);
  CHECK(quality >= 1 && quality <= 100);
  if (image.width > JPEG_MAX_DIMENSION || image.height > JPEG_MAX_DIMENSION)
    throw Error(ExitCode::kBadData, "JPEG: expected an image of at most " + std::to_string(JPEG_MAX_DIMENSION) +
                                        " pixels a side, found " + std::to_string(image.width) + "x" +
                                        std::to_string(image.height));
  JpegFile file;
  if (!guarded(file.guard, [&] { write_jpeg(file, image, quality); })) {
    CHECK(file.error.msg_code == JERR_OUT_OF_MEMORY, file.guard.message.data());
    throw std::bad_alloc();
  }
  const auto bytes = std::as_bytes(std::span(file.bytes, file.size));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> encode_png(const Image& image) {
  require_image(image);
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<std::byte> bytes(size);
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) == 0) {
    CHECK(std::strstr(png.message, "memory") != nullptr, png.message);  // "out of memory", "insufficient memory"
    throw std::bad_alloc();
  }
  bytes.resize(size);
  return bytes;
}

std::vector<std::byte> encode_pnm(const Image& image) {
  require_image(image);
  const std::string header = std::string(image.channels == 1 ? "P5" : "P6") + "\n" + std::to_string(image.width) + " " +
                             std::to_string(image.height) + "\n255\n";
  std::vector<std::byte> bytes(header.size() + image.pixels.size());
  const auto pixels = std::copy(header.begin(), header.end(), reinterpret_cast<char*>(bytes.data()));
  std::copy(image.pixels.begin(), image.pixels.end(), pixels);
  return bytes;
}

}  // namespace convoy
