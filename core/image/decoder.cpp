#include "core/image/decoder.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/error.h"
#include "core/image/jpeg.h"
#include "core/image/png.h"
#include "core/image/pnm.h"

namespace convoy {
namespace {

enum class Kind { kJpeg, kPng, kPnm };

bool starts_with(std::span<const std::byte> file, std::string_view beginning) {
  return std::string_view(reinterpret_cast<const char*>(file.data()), file.size()).starts_with(beginning);
}

Kind kind_of(std::span<const std::byte> file, const std::string& name) {
  if (starts_with(file, "\xff\xd8\xff")) return Kind::kJpeg;
  if (starts_with(file, "\x89PNG\r\n\x1a\n")) return Kind::kPng;
  if (starts_with(file, "P5") || starts_with(file, "P6")) return Kind::kPnm;
  if (file.empty()) throw Error(ExitCode::kBadData, name + ": expected an image, found an empty file");
  std::string found;
  for (const std::byte byte : file.first(std::min<size_t>(file.size(), 4))) {
    constexpr char kDigits[] = "0123456789abcdef";
    found += {' ', kDigits[std::to_integer<int>(byte >> 4)], kDigits[std::to_integer<int>(byte & std::byte{15})]};
  }
  throw Error(ExitCode::kBadData,
              name + ": expected a JPEG, a PNG or a binary PGM or PPM, found a file that begins with (hex)" + found);
}

}  // namespace

void require_size(int64_t width, int64_t height, const std::string& name) {
  if (width >= 1 && height >= 1 && width <= kMaxImagePixels / height) return;
  throw Error(ExitCode::kBadData, name + ": expected 1 to " + std::to_string(kMaxImagePixels) + " pixels, found " +
                                      std::to_string(width) + "x" + std::to_string(height));
}

struct ImageDecoder::Impl {
  explicit Impl(int channels)
      : readers{make_jpeg_reader(channels), make_png_reader(channels), make_pnm_reader(channels)} {}

  std::array<std::unique_ptr<ImageReader>, 3> readers;  // by Kind
  ImageReader* reader = nullptr;                        // null: no file is open
  ImageSize size;
};

ImageDecoder::ImageDecoder(int channels) {
  CHECK(channels == 1 || channels == 3);
  impl_ = std::make_unique<Impl>(channels);
}

ImageDecoder::~ImageDecoder() = default;

ImageSize ImageDecoder::open(std::span<const std::byte> file, const std::string& name) {
  impl_->reader = nullptr;
  ImageReader& reader = *impl_->readers[static_cast<size_t>(kind_of(file, name))];
  impl_->size = reader.open(file, name);
  impl_->reader = &reader;
  return impl_->size;
}

const char* ImageDecoder::format() const {
  CHECK(impl_->reader != nullptr, "no file is open");
  constexpr std::array kNames = {"JPEG", "PNG", "PNM"};
  const auto is_open = [&](const auto& reader) { return reader.get() == impl_->reader; };
  return kNames[static_cast<size_t>(std::ranges::find_if(impl_->readers, is_open) - impl_->readers.begin())];
}

Box ImageDecoder::decode(const Rect& region, ImageSize enough, Image& out) {
  const ImageSize size = impl_->size;
  CHECK(impl_->reader != nullptr, "no file is open");
  CHECK(region.x >= 0 && region.width > 0 && region.width <= size.width - region.x, "region beyond the image");
  CHECK(region.y >= 0 && region.height > 0 && region.height <= size.height - region.y, "region beyond the image");
  return impl_->reader->decode(region, enough, out);
}

}  // namespace convoy
