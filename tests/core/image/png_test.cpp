#include <png.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <functional>

#include "tests/core/image/testing.h"

namespace convoy {
namespace {

struct PngOptions {
  int type = PNG_COLOR_TYPE_RGB, depth = 8;
  bool interlaced = false, transparent = false;  // transparent: a tRNS chunk
};

int channels_of(int type) {
  return (type & PNG_COLOR_MASK_PALETTE) != 0
             ? 1
             : ((type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) + ((type & PNG_COLOR_MASK_ALPHA) != 0 ? 1 : 0);
}

constexpr png_color kPalette[] = {{10, 20, 30}, {200, 100, 50}, {0, 255, 7}, {90, 90, 90}};

// value(x, y, channel), of `depth` bits.
using Values = std::function<int(int x, int y, int channel)>;

// A mistake here ends the test program with libpng's message.
std::string make_png(int width, int height, const PngOptions& options, const Values& value) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp to, png_bytep bytes, size_t n) {
        static_cast<std::string*>(png_get_io_ptr(to))->append(reinterpret_cast<char*>(bytes), n);
      },
      nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), options.depth,
               options.type, options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE,
               PNG_FILTER_TYPE_BASE);
  if (options.type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, kPalette, std::min(1 << options.depth, 4));
  const png_byte alphas[] = {0, 128};
  png_color_16 clear = {1, 1, 1, 1, 1};
  if (options.transparent) png_set_tRNS(png, info, alphas, 2, &clear);
  const int channels = channels_of(options.type), bits = channels * options.depth;
  std::vector<std::vector<uint8_t>> rows;
  for (int y = 0; y < height; ++y) {
    std::vector<uint8_t> row(static_cast<size_t>((width * bits + 7) / 8));
    for (int i = 0; i < width * channels; ++i)
      for (int bit = 0; bit < options.depth; ++bit) {  // the highest first
        const int set = value(i / channels, y, i % channels) >> (options.depth - 1 - bit) & 1;
        const int at = i * options.depth + bit;
        row[static_cast<size_t>(at / 8)] |= static_cast<uint8_t>(set << (7 - at % 8));
      }
    rows.push_back(row);
  }
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_info(png, info);
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string describe(const PngOptions& o) {
  return "colour type " + std::to_string(o.type) + ", " + std::to_string(o.depth) + " bits" +
         (o.interlaced ? ", interlaced" : "") + (o.transparent ? ", tRNS" : "");
}

std::vector<PngOptions> kinds() {
  const std::pair<int, std::vector<int>> depths[] = {{PNG_COLOR_TYPE_GRAY, {1, 2, 4, 8, 16}},
                                                     {PNG_COLOR_TYPE_PALETTE, {1, 2, 4, 8}},
                                                     {PNG_COLOR_TYPE_RGB, {8, 16}},
                                                     {PNG_COLOR_TYPE_GRAY_ALPHA, {8, 16}},
                                                     {PNG_COLOR_TYPE_RGB_ALPHA, {8, 16}}};
  std::vector<PngOptions> all;
  for (const auto& [type, bits] : depths)
    for (const int depth : bits)
      for (const bool interlaced : {false, true})
        for (const bool transparent : {false, true})
          if (!transparent || (type & PNG_COLOR_MASK_ALPHA) == 0) all.push_back({type, depth, interlaced, transparent});
  return all;
}

// What one pixel must become, by the PNG specification, with alpha ignored.
std::array<uint8_t, 3> rgb_of(const PngOptions& options, const Values& value, int x, int y) {
  std::array<uint8_t, 3> rgb = {};
  for (int c = 0; c < 3; ++c) {
    const bool colour = (options.type & PNG_COLOR_MASK_COLOR) != 0;
    const double largest = (1 << options.depth) - 1;
    if (options.type == PNG_COLOR_TYPE_PALETTE) {
      const png_color entry = kPalette[value(x, y, 0)];
      rgb = {entry.red, entry.green, entry.blue};
    } else {
      rgb[static_cast<size_t>(c)] = static_cast<uint8_t>(std::lround(value(x, y, colour ? c : 0) * 255 / largest));
    }
  }
  return rgb;
}

TEST(Png, EveryKindGivesItsColours) {
  constexpr int kWidth = 19, kHeight = 13;
  for (const PngOptions& options : kinds()) {
    const int most = options.type == PNG_COLOR_TYPE_PALETTE ? std::min(1 << options.depth, 4) : 1 << options.depth;
    const Values value = [&](int x, int y, int c) { return (x * 7919 + y * 104729 + c * 1299709) % most; };
    const std::string file = make_png(kWidth, kHeight, options, value);
    Image rgb, grey;
    rgb.resize(kWidth, kHeight, 3);
    grey.resize(kWidth, kHeight, 1);
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) {
        const auto [r, g, b] = rgb_of(options, value, x, y);
        rgb.row(y)[3 * x] = r, rgb.row(y)[3 * x + 1] = g, rgb.row(y)[3 * x + 2] = b;
        grey.row(y)[x] = static_cast<uint8_t>((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
      }
    expect_same(decode_all(file, 3), rgb, describe(options));
    expect_same(decode_all(file, 1), grey, describe(options));
  }
}

std::string make_png(const Image& image, bool interlaced) {
  return make_png(image.width, image.height, {.interlaced = interlaced},
                  [&](int x, int y, int c) { return image.row(y)[3 * x + c]; });
}

TEST(Png, RegionsAreOfTheWhole) {
  const Image photo = make_photo(57, 43, 3);
  for (const bool interlaced : {false, true}) {
    const std::string file = make_png(photo, interlaced);
    ImageDecoder decoder(3);
    ASSERT_EQ(decoder.open(bytes_of(file), "f"), photo.size());
    for (const Rect& region : {Rect{0, 0, 57, 43}, {56, 42, 1, 1}, {10, 5, 30, 20}, {0, 0, 1, 1}, {3, 40, 54, 3}}) {
      Image part;
      const Box box = decoder.decode(region, {1, 1}, part);  // never reduced
      expect_same(part, crop(photo, region), interlaced ? "interlaced" : "plain");
      EXPECT_EQ(box.right, region.width);
      EXPECT_EQ(box.bottom, region.height);
    }
  }
}

TEST(Png, EveryTruncationAndEveryChangedByteIsRefused) {
  for (const bool interlaced : {false, true}) {
    const std::string file = make_png(make_photo(21, 17, 3), interlaced);
    for (size_t n = 0; n < file.size(); ++n) expect_bad_image({"expected"}, file.substr(0, n));
    for (size_t i = 0; i < file.size(); ++i)
      for (const char flip : {'\x01', '\x10', '\x80'}) {
        std::string damaged = file;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        expect_bad_image({"expected"}, damaged);
      }
  }
}

TEST(Png, DamageBelowTheRegionIsNotLookedAt) {
  const Image photo = make_photo(300, 300, 3);
  const std::string file = make_png(photo, false), half = file.substr(0, file.size() / 2);
  ImageDecoder decoder(3);
  decoder.open(bytes_of(half), "f");
  Image part;
  for (int i = 0; i < 2; ++i) {
    decoder.decode({0, 0, 300, 50}, kFullSize, part);
    expect_same(part, crop(photo, {0, 0, 300, 50}), "above the end of the file");
    expect_error(ExitCode::kBadData, {"f: ", "the file ends early"}, [&] {
      decoder.decode({0, 250, 300, 50}, kFullSize, part);
    });
  }
}

std::string with_size(std::string file, uint32_t width, uint32_t height) {
  constexpr size_t kType = 12, kData = 16, kCrc = 29;
  const auto put = [&](size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; ++i) file[at + i] = static_cast<char>(value >> (24 - 8 * i));
  };
  put(kData, width);
  put(kData + 4, height);
  put(kCrc, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(file.data()) + kType, kCrc - kType)));
  return file;
}

TEST(Png, PromisesBeyondTheFileAreRefusedBeforeAllocating) {
  for (const bool interlaced : {false, true}) {
    const std::string file = make_png(make_photo(8, 8, 3), interlaced);
    expect_bad_image({"178956970 pixels", "65500x65500"}, with_size(file, 65500, 65500));
    expect_bad_image({"13000x13000", "found only"}, with_size(file, 13000, 13000));
    expect_bad_image({"expected an undamaged PNG"}, with_size(file, 0, 8));
    expect_bad_image({"expected an undamaged PNG"}, with_size(file, 8, 0));
    expect_bad_image({"expected an undamaged PNG"}, with_size(file, 0xffffffff, 0xffffffff));
    decode_all(with_size(file, 8, 8), 3);
  }
}

TEST(Png, AFlatImageInFewBytesIsFine) {
  const std::string file =
      make_png(4096, 4096, {.type = PNG_COLOR_TYPE_GRAY, .depth = 1}, [](int, int, int) { return 1; });
  const Image image = decode_all(file, 1);
  EXPECT_EQ(std::ranges::count(image.pixels, 255), 4096 * 4096);
}

}  // namespace
}  // namespace convoy
