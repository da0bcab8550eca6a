// All kinds of files through the decoder, what the encoders make of images, and real files against Pillow.
#include "core/image/decoder.h"

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <new>
#include <set>

#include "core/image/encoder.h"
#include "tests/core/data/testing.h"
#include "tests/core/image/testing.h"

namespace convoy {
namespace {

TEST(Decoder, WhatIsNoImageIsNamed) {
  expect_bad_image({"found an empty file"}, "");
  expect_bad_image({"a JPEG, a PNG or a binary PGM or PPM", "47 49 46 38"}, "GIF89a......");
  expect_bad_image({"begins with (hex) ff d8"}, "\xff\xd8");
  expect_bad_image({"expected"}, "P4\n8 8\n........");
  expect_bad_image({"Premature end"}, "\xff\xd8\xff");
  expect_bad_image({"expected an undamaged JPEG"}, "\xff\xd8\xff" + std::string(200, '\xaa'));
  for (const char* beginning : {"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "P5", "P6\n"}) {
    uint32_t state = 1;
    std::string junk = beginning;
    for (int i = 0; i < 1000; ++i) junk += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    expect_bad_image({"expected"}, junk);
  }
}

TEST(Decoder, GoesOnAfterErrorsAndOtherKinds) {
  const Image photo = make_photo(40, 30, 3);
  const std::string jpeg = text_of(encode_jpeg(photo, 90)), png = text_of(encode_png(photo));
  const std::string pnm = text_of(encode_pnm(photo)), cut = jpeg.substr(0, jpeg.size() / 2);
  const Image expected = decode_all(jpeg, 3);
  ImageDecoder decoder(3);
  Image out;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(decoder.open(bytes_of(png), "png"), photo.size());
    decoder.decode({0, 0, 40, 30}, kFullSize, out);
    expect_same(out, photo, "png");
    expect_error(ExitCode::kBadData, {"cut: "}, [&] {
      decoder.open(bytes_of(cut), "cut");
      decoder.decode({0, 0, 40, 30}, kFullSize, out);
    });
    decoder.open(bytes_of(pnm), "pnm");
    decoder.decode({0, 0, 40, 30}, kFullSize, out);
    expect_same(out, photo, "pnm");
    decoder.open(bytes_of(jpeg), "jpeg");
    decoder.decode({0, 0, 40, 30}, kFullSize, out);
    expect_same(out, expected, "jpeg");
  }
  expect_error(ExitCode::kBadData, {"junk: "}, [&] { decoder.open(bytes_of("junk"), "junk"); });
  EXPECT_THROW(decoder.decode({0, 0, 1, 1}, kFullSize, out), InternalError);  // nothing is open
}

TEST(Decoder, MistakesOfTheCallerAreFound) {
  EXPECT_THROW(ImageDecoder(2), InternalError);
  const std::string file = text_of(encode_pnm(make_photo(4, 3, 3)));
  ImageDecoder decoder(3);
  decoder.open(bytes_of(file), "f");
  Image out;
  for (const Rect& region : {Rect{0, 0, 5, 3}, {0, 0, 4, 4}, {-1, 0, 2, 2}, {4, 0, 1, 1}, {0, 0, 0, 1}, {0, 0, 1, 0}})
    EXPECT_THROW(decoder.decode(region, kFullSize, out), InternalError);
}

TEST(Pnm, IsReadAsItIs) {
  const auto pixels = [](const std::string& file, int channels) { return decode_all(file, channels).pixels; };
  EXPECT_EQ(pixels("P5 2 1 255 ab", 1), (std::vector<uint8_t>{'a', 'b'}));
  EXPECT_EQ(pixels("P5\n# a comment\n2\t# and another\n1\r\n255\n\n ", 1), (std::vector<uint8_t>{'\n', ' '}));
  EXPECT_EQ(pixels("P5 1 1 255 a", 3), (std::vector<uint8_t>{'a', 'a', 'a'}));
  EXPECT_EQ(pixels("P6 1 1 255 abc", 3), (std::vector<uint8_t>{'a', 'b', 'c'}));
  EXPECT_EQ(pixels("P6 1 1 255 \xff\xff\xff", 1), (std::vector<uint8_t>{255}));
}

TEST(Pnm, WhatIsWrongIsNamed) {
  const std::string file = text_of(encode_pnm(make_photo(5, 3, 3)));
  for (size_t n = 0; n < file.size(); ++n) expect_bad_image({"expected"}, file.substr(0, n));
  expect_bad_image({"expected 45 bytes of pixels, found 46"}, file + "x");
  expect_bad_image({"255 as the largest value of a pixel, found 65535"}, "P5 1 1 65535 ab");
  expect_bad_image({"pixels, found 0x1"}, "P5 0 1 255 ");
  expect_bad_image({"pixels, found 65500x65500"}, "P5 65500 65500 255 ");
  expect_bad_image({"bytes of pixels, found 3"}, "P6 13000 13000 255 abc");
  expect_bad_image({"white space"}, "P5 1 1 255a");
  expect_bad_image({"a number"}, "P5 -1 1 255 a");
  expect_bad_image({"expected"}, "P5 99999999999999999999 1 255 a");
  expect_bad_image({"end of the file"}, "P5 1 1 # 255 a");
}

TEST(Encoder, FilesComeBackAsTheyWere) {
  for (const int channels : {1, 3})
    for (const ImageSize size : {ImageSize{1, 1}, {7, 5}, {64, 48}}) {
      const Image photo = make_photo(size.width, size.height, channels);
      expect_same(decode_all(text_of(encode_png(photo)), channels), photo, "png");
      expect_same(decode_all(text_of(encode_pnm(photo)), channels), photo, "pnm");
      JpegOptions options = {.quality = 77};
      EXPECT_EQ(text_of(encode_jpeg(photo, 77)), make_jpeg(photo, options));  // 4:2:0, baseline
    }
}

TEST(Encoder, GoodQualityIsNearAndPoorQualityIsSmall) {
  Image smooth;
  smooth.resize(64, 64, 3);
  for (int y = 0; y < 64; ++y)
    for (int i = 0; i < 192; ++i) smooth.row(y)[i] = static_cast<uint8_t>(2 * y + i / 3);
  const Image back = decode_all(text_of(encode_jpeg(smooth, 100)), 3);
  for (size_t i = 0; i < back.pixels.size(); ++i) ASSERT_NEAR(back.pixels[i], smooth.pixels[i], 3);
  const Image photo = make_photo(64, 64, 3);
  EXPECT_LT(encode_jpeg(photo, 1).size(), encode_jpeg(photo, 50).size());
  EXPECT_LT(encode_jpeg(photo, 50).size(), encode_jpeg(photo, 100).size());
}

TEST(Encoder, JpegHasALargestSide) {
  Image wide;
  wide.resize(65501, 1, 1);
  expect_error(ExitCode::kBadData, {"at most 65500", "65501x1"}, [&] { encode_jpeg(wide, 90); });
  wide.resize(65500, 1, 1);
  EXPECT_EQ(decode_all(text_of(encode_jpeg(wide, 90)), 1).width, 65500);
}

// Of the pixels of an image, going on from `crc`.
uint32_t crc_of(const std::string& path, int channels, uint32_t crc = 0) {
  const Image image = decode_all(get_file(path), channels);
  return static_cast<uint32_t>(crc32(crc, image.pixels.data(), static_cast<uInt>(image.pixels.size())));
}

// Sums of Pillow 13.0.0 (libjpeg-turbo 3.2.0), all equal to ours with libjpeg-turbo 2.1.5:
//   python3 -c 'import sys,zlib; from PIL import Image, ImageOps
//   for f in sys.argv[1:]:
//     up = ImageOps.exif_transpose(Image.open(f))
//     print(f, *["%08x" % zlib.crc32(up.convert(m).tobytes()) for m in ("RGB", "L")])' ../shared/data/jpeg-odd/*.jpg
struct Sums {
  const char* name;
  uint32_t rgb, grey;
};
constexpr Sums kSums[] = {
    {"exif_Canon_40D", 0xf4289567, 0x1dc36296},
    {"exif_Nikon_D70", 0xae57d81e, 0x095889e5},
    {"jpegdec_tower", 0x64fdc880, 0x22a34ef7},
    {"jpegdec_tower_grayscale", 0xbf006790, 0x733c8431},
    {"jpegdec_tower_progressive", 0x64fdc880, 0x22a34ef7},
    {"ljt_testimgari", 0x9518fe98, 0x8c4f5f99},
    {"ljt_testimgint", 0x9518fe98, 0x8c4f5f99},
    {"ljt_testorig", 0xb88ce32e, 0x57a86fc7},
    {"pillow_flower", 0x7bc11914, 0x79488413},
    {"pillow_hopper", 0x9a292e3e, 0x98c0dd5d},
    {"pillow_hopper_16bit_qtables", 0x2dd7843c, 0xc90a9224},
    {"pillow_hopper_gray", 0x7af19e35, 0x9a5cda41},
    {"pillow_hopper_orientation_2", 0x466388f7, 0x4db12485},
    {"pillow_hopper_orientation_3", 0x466388f7, 0x4db12485},
    {"pillow_hopper_orientation_4", 0x69f0078e, 0x53250fb4},
    {"pillow_hopper_orientation_5", 0x2e705e79, 0x8f503a51},
    {"pillow_hopper_orientation_6", 0x2e705e79, 0x8f503a51},
    {"pillow_hopper_orientation_7", 0xca5eb7a9, 0x6a7c9ae8},
    {"pillow_hopper_orientation_8", 0xca5eb7a9, 0x6a7c9ae8},
    {"pillow_icc-after-SOF", 0xb5348fd2, 0x9988c6ca},
    {"pillow_jpeg_ff00_header", 0x38fa8804, 0x7abbb894},
    {"pillow_junk_jpeg_header", 0xaefa9366, 0xfa6d2c20},
    {"pillow_orientation_rectangle", 0x21008710, 0x627f1f4d},
    {"pillow_pil_sample_cmyk", 0xb166528d, 0x6d3a8e0b},
    {"pillow_pil_sample_rgb", 0x2bcac30b, 0x202f82c5},
};

TEST(RealImages, OddJpegsAreAsPillowHasThem) {
  const std::string folder = test_data("jpeg-odd");
  if (folder.empty()) GTEST_SKIP() << "CONVOY_TEST_DATA has no jpeg-odd folder";
  for (const Sums& sums : kSums) {
    const std::string path = folder + "/" + sums.name + ".jpg";
    EXPECT_EQ(crc_of(path, 3), sums.rgb) << sums.name;
    EXPECT_EQ(crc_of(path, 1), sums.grey) << sums.name;
  }
  expect_bad_image({"a JPEG of 8 bits a channel, found 12"}, get_file(folder + "/ljt_monkey12.jpg"));
  expect_bad_image({"Premature end"}, get_file(folder + "/pillow_truncated_jpeg.jpg"));
}

//   python3 -c 'import sys,zlib,pathlib; from PIL import Image
//   for m in ("RGB", "L"):
//     crc = 0
//     for f in sorted(map(str, pathlib.Path(sys.argv[1]).rglob("*.JPEG"))):
//       crc = zlib.crc32(Image.open(f).convert(m).tobytes(), crc)
//     print("%08x" % crc)' ../shared/data/imagenette224-mini
TEST(RealImages, PhotographsAreAsPillowHasThem) {
  const std::string folder = test_data("imagenette224-mini");
  if (folder.empty()) GTEST_SKIP() << "CONVOY_TEST_DATA has no imagenette224-mini folder";
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".JPEG") paths.insert(entry.path());
  ASSERT_EQ(paths.size(), 800u);
  uint32_t rgb = 0, grey = 0;
  for (const std::string& path : paths) rgb = crc_of(path, 3, rgb), grey = crc_of(path, 1, grey);
  EXPECT_EQ(rgb, 0x0bde4c31u);
  EXPECT_EQ(grey, 0x77856ce4u);
}

// Ends the process: 0 if `call` throws std::bad_alloc where there is room for `bytes` more.
[[noreturn]] void exit_by_memory(size_t bytes, const std::function<void()>& call) {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t room = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + bytes;
  const rlimit limit = {room, room};
  if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
  try {
    call();
  } catch (const std::bad_alloc&) {
    _exit(0);
  } catch (const std::exception& error) {
    std::fputs(error.what(), stderr);
    _exit(2);
  }
  _exit(3);
}

// What a library asks for in vain is not damage of the file, nor a mistake of ours.
TEST(DecoderDeathTest, NoMemoryIsSaid) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs the address space";
#endif
  Image wide;
  wide.resize(1'000'000, 8, 3);
  const std::vector<std::byte> png = encode_png(wide);
  EXPECT_EXIT(exit_by_memory(1 << 20, [&] { ImageDecoder(3).open(png, "f"); }), testing::ExitedWithCode(0), "^$");
  EXPECT_EXIT(exit_by_memory(28 << 20, [&] { encode_png(wide); }), testing::ExitedWithCode(0), "^$");
  wide.resize(65500, 64, 3);
  EXPECT_EXIT(exit_by_memory(1 << 19, [&] { encode_jpeg(wide, 90); }), testing::ExitedWithCode(0), "^$");
}

}  // namespace
}  // namespace convoy
