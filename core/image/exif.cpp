#include "core/image/exif.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

namespace convoy {
namespace {

// A TIFF file inside the segment; what lies beyond its end reads as 0, which means nothing here.
struct Tiff {
  std::span<const std::byte> bytes;
  bool big_endian = false;

  uint32_t number(size_t offset, size_t width) const {
    if (offset > bytes.size() || bytes.size() - offset < width) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i)
      value = value << 8 | std::to_integer<uint32_t>(bytes[offset + (big_endian ? i : width - 1 - i)]);
    return value;
  }
};

// The value of tag 0x112 in the first directory.
uint32_t orientation_tag(const Tiff& tiff) {
  constexpr uint32_t kOrientation = 0x112, kShort = 3;
  constexpr size_t kEntryBytes = 12;
  const size_t directory = tiff.number(4, 4);
  const uint32_t entries = tiff.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (tiff.number(entry, 2) == kOrientation)
      return tiff.number(entry + 2, 2) == kShort && tiff.number(entry + 4, 4) == 1 ? tiff.number(entry + 8, 2) : 0;
  }
  return 0;
}

template <size_t channels>
void copy_turned(const Image& stored, Orientation orientation, Image& out) {
  // Steps in `stored` for one pixel to the right and one down in `out`.
  const auto row = static_cast<ptrdiff_t>(stored.row_bytes()), pixel = static_cast<ptrdiff_t>(channels);
  ptrdiff_t right = orientation.flip_x ? -pixel : pixel, down = orientation.flip_y ? -row : row;
  const uint8_t* first =
      stored.row(orientation.flip_y ? stored.height - 1 : 0) + (orientation.flip_x ? row - pixel : 0);
  if (orientation.transpose) std::swap(right, down);
  constexpr int kTile = 32;  // rows of one image are columns of the other: small tiles stay in the cache
  for (int top = 0; top < out.height; top += kTile)
    for (int left = 0; left < out.width; left += kTile) {
      const int columns = std::min(kTile, out.width - left), bottom = std::min(top + kTile, out.height);
      for (int y = top; y < bottom; ++y) {
        const uint8_t* from = first + y * down + left * right;
        uint8_t* to = out.row(y) + left * pixel;
        for (int x = 0; x < columns; ++x, from += right, to += channels) std::memcpy(to, from, channels);
      }
    }
}

}  // namespace

Orientation exif_orientation(std::span<const std::byte> app1) {
  constexpr std::string_view kExif("Exif\0\0", 6), kLittle("II*\0", 4), kBig("MM\0*", 4);
  const std::string_view text(reinterpret_cast<const char*>(app1.data()), app1.size());
  if (!text.starts_with(kExif)) return {};
  const std::string_view order = text.substr(kExif.size(), 4);
  if (order != kLittle && order != kBig) return {};
  switch (orientation_tag({app1.subspan(kExif.size()), order == kBig})) {
    case 2: return {false, true, false};
    case 3: return {false, true, true};
    case 4: return {false, false, true};
    case 5: return {true, false, false};
    case 6: return {true, false, true};
    case 7: return {true, true, true};
    case 8: return {true, true, false};
    default: return {};
  }
}

ImageSize upright_size(ImageSize stored, Orientation orientation) {
  return orientation.transpose ? ImageSize{stored.height, stored.width} : stored;
}

Rect stored_region(const Rect& upright, ImageSize stored, Orientation orientation) {
  Rect region = upright;
  if (orientation.transpose) region = {upright.y, upright.x, upright.height, upright.width};
  if (orientation.flip_x) region.x = stored.width - region.x - region.width;
  if (orientation.flip_y) region.y = stored.height - region.y - region.height;
  return region;
}

Box upright_box(const Box& stored_box, ImageSize stored, Orientation orientation) {
  Box box = stored_box;
  if (orientation.flip_x) box.left = stored.width - stored_box.right, box.right = stored.width - stored_box.left;
  if (orientation.flip_y) box.top = stored.height - stored_box.bottom, box.bottom = stored.height - stored_box.top;
  return orientation.transpose ? Box{box.top, box.left, box.bottom, box.right} : box;
}

void make_upright(const Image& stored, Orientation orientation, Image& out) {
  const ImageSize size = upright_size(stored.size(), orientation);
  out.resize(size.width, size.height, stored.channels);
  if (stored.channels == 1) return copy_turned<1>(stored, orientation, out);
  copy_turned<3>(stored, orientation, out);
}

}  // namespace convoy
