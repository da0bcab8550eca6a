#include <random>

#include "tests/core/image/testing.h"

namespace convoy {
namespace {

struct Kind {
  std::string name;
  JpegOptions options;
  int channels = 3;
  bool reducible = true;
};

std::vector<Kind> kinds() {
  const auto sampled = [](int h, int v) { return JpegOptions{.sampling = {{h, v}, {1, 1}, {1, 1}}}; };
  JpegOptions progressive = sampled(2, 2), arithmetic = sampled(2, 2), restarts = sampled(2, 1), rgb = sampled(1, 1);
  progressive.progressive = true;
  arithmetic.arithmetic = true;
  restarts.restart = 3;
  rgb.colours = JCS_RGB;
  JpegOptions both = progressive;
  both.arithmetic = true;
  JpegOptions one_by_one = sampled(2, 2), coarse = sampled(2, 2), fine_colours;
  one_by_one.scans = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
  // Low bits are never sent: libjpeg smooths across blocks.
  coarse.scans = {{3, {0, 1, 2}, 0, 0, 0, 1}, {1, {0}, 1, 5, 0, 2}};
  fine_colours.sampling = {{1, 1}, {2, 2}, {2, 1}};
  return {{"4:4:4", sampled(1, 1)},
          {"4:2:2", sampled(2, 1)},
          {"4:2:0", sampled(2, 2)},
          {"4:4:0", sampled(1, 2)},
          {"4:1:1", sampled(4, 1)},
          {"4:1:0", sampled(4, 2), 3, false},
          {"1x4", sampled(1, 4)},
          {"4x4", {.sampling = {{4, 1}, {1, 4}, {1, 1}}}, 3, false},
          {"fine colours", fine_colours},
          {"progressive", progressive},
          {"arithmetic", arithmetic},
          {"arithmetic progressive", both},
          {"restarts", restarts},
          {"a scan a channel", one_by_one},
          {"progressive without low bits", coarse},
          {"RGB", rgb},
          {"grey", {}, 1},
          {"grey 2x2", {.sampling = {{2, 2}}}, 1},
          {"CMYK", {}, 4},
          {"YCCK", {.sampling = {{2, 2}, {1, 1}, {1, 1}, {2, 2}}, .colours = JCS_YCCK}, 4}};
}

Rect random_region(std::mt19937& random, ImageSize size, int smallest) {
  const auto side = [&](int all, int& first) {
    const int length = std::uniform_int_distribution(smallest, all)(random);
    first = std::uniform_int_distribution(0, all - length)(random);
    return length;
  };
  Rect region;
  region.width = side(size.width, region.x);
  region.height = side(size.height, region.y);
  return region;
}

std::string describe(const Kind& kind, const Rect& r, int scale) {
  return kind.name + " region " + std::to_string(r.x) + "," + std::to_string(r.y) + " " + std::to_string(r.width) +
         "x" + std::to_string(r.height) + " 1/" + std::to_string(scale);
}

// Any region of an image, reduced or not, is that region of the whole image, bit for bit.
TEST(Jpeg, RegionsEqualTheWhole) {
  std::mt19937 random(1);
  for (const Kind& kind : kinds())
    for (const ImageSize size : {ImageSize{203, 117}, {96, 64}, {33, 150}}) {
      const std::string file = make_jpeg(make_photo(size.width, size.height, kind.channels), kind.options);
      ImageDecoder decoder(kind.name == "4:2:2" ? 1 : 3);
      ASSERT_EQ(decoder.open(bytes_of(file), "f"), size);
      for (const int scale : kind.reducible ? std::vector{1, 2, 4, 8} : std::vector{1}) {
        const auto enough = [&](const Rect& r) { return ImageSize{r.width / scale, r.height / scale}; };
        const Rect all = {0, 0, size.width, size.height};
        Image whole, part;
        decoder.decode(all, enough(all), whole);
        ASSERT_EQ(whole.size(), (ImageSize{(size.width + scale - 1) / scale, (size.height + scale - 1) / scale}));
        for (int i = 0; i < 25; ++i) {
          const Rect region = random_region(random, size, scale == 1 ? 1 : 8);
          const Box box = decoder.decode(region, enough(region), part);
          const int x = region.x / scale, y = region.y / scale;
          const int right = (region.x + region.width + scale - 1) / scale;
          const int bottom = (region.y + region.height + scale - 1) / scale;
          expect_same(part, crop(whole, {x, y, right - x, bottom - y}), describe(kind, region, scale));
          EXPECT_EQ(box.left, region.x / static_cast<double>(scale) - x);
          EXPECT_EQ(box.bottom, (region.y + region.height) / static_cast<double>(scale) - y);
          EXPECT_EQ(box.right - box.left, region.width / static_cast<double>(scale));
          EXPECT_EQ(box.bottom - box.top, region.height / static_cast<double>(scale));
          if (testing::Test::HasFailure()) return;
        }
      }
    }
}

TEST(Jpeg, IsReducedAsFarAsIsEnough) {
  const std::string file = make_jpeg(make_photo(400, 300, 3));
  ImageDecoder decoder(3);
  decoder.open(bytes_of(file), "f");
  Image image;
  const auto width = [&](ImageSize enough) {
    decoder.decode({8, 16, 320, 160}, enough, image);
    return image.width;
  };
  EXPECT_EQ(width({320, 160}), 320);
  EXPECT_EQ(width({161, 80}), 320);
  EXPECT_EQ(width({160, 81}), 320);
  EXPECT_EQ(width({160, 80}), 160);
  EXPECT_EQ(width({80, 40}), 80);
  EXPECT_EQ(width({40, 20}), 40);
  EXPECT_EQ(width({1, 1}), 40);
  EXPECT_EQ(width(kFullSize), 320);
  const std::string odd = make_jpeg(make_photo(400, 300, 3), {.sampling = {{4, 2}, {1, 1}, {1, 1}}});
  decoder.open(bytes_of(odd), "f");
  EXPECT_EQ(width({1, 1}), 320);  // libjpeg's error in regions of such files
}

// Where the camera's pixel x, y of a w times h image belongs: the EXIF standard's table, pixel by pixel.
Image upright_by_the_table(const Image& stored, int orientation) {
  const int w = stored.width, h = stored.height;
  Image out;
  out.resize(orientation >= 5 ? h : w, orientation >= 5 ? w : h, stored.channels);
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      const std::pair<int, int> places[] = {{x, y}, {w - 1 - x, y}, {w - 1 - x, h - 1 - y}, {x, h - 1 - y},
                                            {y, x}, {h - 1 - y, x}, {h - 1 - y, w - 1 - x}, {y, w - 1 - x}};
      const auto [to_x, to_y] = places[orientation - 1];
      std::memcpy(out.row(to_y) + to_x * out.channels, stored.row(y) + x * stored.channels,
                  static_cast<size_t>(stored.channels));
    }
  return out;
}

TEST(Jpeg, EveryOrientationComesOutUpright) {
  const std::string plain = make_jpeg(make_photo(101, 58, 3));
  std::mt19937 random(2);
  for (const int channels : {1, 3})
    for (int orientation = 1; orientation <= 8; ++orientation) {
      const std::string file = with_app1(plain, make_exif(orientation, orientation % 2 == 0));
      const Image upright = upright_by_the_table(decode_all(plain, channels), orientation);
      ImageDecoder decoder(channels);
      ASSERT_EQ(decoder.open(bytes_of(file), "f"), upright.size());
      for (int i = 0; i < 20; ++i) {
        const Rect region = random_region(random, upright.size(), 1);
        Image part;
        const Box box = decoder.decode(region, kFullSize, part);
        expect_same(part, crop(upright, region), "orientation " + std::to_string(orientation));
        EXPECT_EQ(box.left, 0);
        EXPECT_EQ(box.top, 0);
        EXPECT_EQ(box.right, part.width);
        EXPECT_EQ(box.bottom, part.height);
      }
    }
}

// Red grows to the right and green downwards in the upright image, so a colour says where a pixel lies.
TEST(Jpeg, TheBoxOfAReducedRegionIsWhereTheRegionIs) {
  constexpr int kWidth = 245, kHeight = 203;
  Image ramp;
  ramp.resize(kWidth, kHeight, 3);
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      uint8_t* const pixel = ramp.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(x), pixel[1] = static_cast<uint8_t>(y), pixel[2] = 128;
    }
  constexpr int kStoredBy[] = {1, 2, 3, 4, 5, 8, 7, 6};  // what turns an upright image into one stored this way
  std::mt19937 random(3);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image stored = upright_by_the_table(ramp, kStoredBy[orientation - 1]);
    const std::string file =
        with_app1(make_jpeg(stored, {.sampling = {{1, 1}, {1, 1}, {1, 1}}, .quality = 100}), make_exif(orientation));
    ImageDecoder decoder(3);
    ASSERT_EQ(decoder.open(bytes_of(file), "f"), ramp.size());
    for (const int scale : {2, 4, 8})
      for (int i = 0; i < 10; ++i) {
        const Rect region = random_region(random, ramp.size(), 40);
        Image part;
        const Box box = decoder.decode(region, {region.width / scale, region.height / scale}, part);
        ASSERT_GE(box.left, 0);
        ASSERT_GE(box.top, 0);
        ASSERT_LE(box.right, part.width);
        ASSERT_LE(box.bottom, part.height);
        EXPECT_EQ(box.right - box.left, static_cast<double>(region.width) / scale);
        for (int y = 1; y + 1 < part.height; ++y)
          for (int x = 1; x + 1 < part.width; ++x) {
            const double at_x = region.x + (x + 0.5 - box.left) * scale - 0.5;
            const double at_y = region.y + (y + 0.5 - box.top) * scale - 0.5;
            ASSERT_NEAR(part.row(y)[3 * x], at_x, 2.0) << orientation << " 1/" << scale;
            ASSERT_NEAR(part.row(y)[3 * x + 1], at_y, 2.0) << orientation << " 1/" << scale;
          }
      }
  }
}

TEST(Jpeg, OddExifMeansAsStored) {
  const std::string plain = make_jpeg(make_photo(40, 24, 3)), exif = make_exif(6), big = make_exif(6, true);
  const auto size = [&](const std::string& file) { return ImageDecoder(3).open(bytes_of(file), "f"); };
  const ImageSize stored = {40, 24}, upright = {24, 40};
  EXPECT_EQ(size(with_app1(plain, exif)), upright);
  EXPECT_EQ(size(with_app1(plain, big)), upright);
  EXPECT_EQ(size(with_app1(with_app1(plain, exif), "http://ns.adobe.com/xap/1.0/")), upright);
  for (const int odd : {0, 9, 255}) EXPECT_EQ(size(with_app1(plain, make_exif(odd))), stored);
  constexpr size_t kValueEnd = 6 + 8 + 2 + 12 + 10;
  for (size_t n = 0; n < exif.size(); ++n) {
    EXPECT_EQ(size(with_app1(plain, exif.substr(0, n))), n < kValueEnd ? stored : upright) << n;
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string damaged = exif;
      damaged[n] = static_cast<char>(damaged[n] ^ flip);
      const ImageSize found = size(with_app1(plain, damaged));  // any orientation, and no error
      EXPECT_TRUE(found == stored || found == upright);
    }
  }
}

TEST(Jpeg, InkBecomesLight) {
  const auto flat = [](std::vector<uint8_t> stored, J_COLOR_SPACE colours, int channels) {
    Image image;
    image.resize(8, 8, 4);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = stored[i % 4];
    const Image out = decode_all(make_jpeg(image, {.colours = colours, .quality = 100}), channels);
    return std::vector<int>(out.pixels.begin(), out.pixels.begin() + channels);
  };
  // Stored inverted: 255 is no ink.  A channel is stored * black / 255, and grey is 0.299 R + 0.587 G + 0.114 B.
  EXPECT_EQ(flat({255, 255, 255, 255}, JCS_CMYK, 3), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(flat({255, 0, 255, 255}, JCS_CMYK, 3), (std::vector<int>{255, 0, 255}));
  EXPECT_EQ(flat({100, 200, 50, 128}, JCS_CMYK, 3), (std::vector<int>{50, 100, 25}));
  EXPECT_EQ(flat({100, 200, 50, 128}, JCS_CMYK, 1), (std::vector<int>{77}));
  const std::vector<int> ycck = flat({100, 200, 50, 128}, JCS_YCCK, 3);
  EXPECT_NEAR(ycck[0], 50, 1);
  EXPECT_NEAR(ycck[1], 100, 1);
  EXPECT_NEAR(ycck[2], 25, 1);
}

TEST(Jpeg, EveryTruncationIsRefused) {
  JpegOptions progressive, arithmetic;
  progressive.progressive = true;
  arithmetic.arithmetic = true;
  for (const JpegOptions& options : {JpegOptions(), progressive, arithmetic}) {
    const std::string file = make_jpeg(make_photo(35, 27, 3), options);
    for (size_t n = 0; n < file.size(); ++n) expect_bad_image({"expected"}, file.substr(0, n));
    decode_all(file, 3);
  }
}

// Changed bytes give an error or wrong pixels, as JPEG has no checksums; never more than that.
TEST(Jpeg, ChangedBytesAreSurvived) {
  JpegOptions progressive, arithmetic, restarts;
  progressive.progressive = true;
  arithmetic.arithmetic = true;
  restarts.restart = 1;
  for (const JpegOptions& options : {JpegOptions(), progressive, arithmetic, restarts}) {
    const std::string file = with_app1(make_jpeg(make_photo(40, 33, 3), options), make_exif(3));
    size_t refused = 0, tried = 0;
    for (size_t i = 0; i < file.size(); ++i)
      for (const char flip : {'\x01', '\x10', '\x80', '\xff'}) {
        std::string damaged = file;
        damaged[i] = static_cast<char>(damaged[i] ^ flip);
        ++tried;
        try {
          decode_all(damaged, 3);
        } catch (const Error& error) {
          ++refused;
          ASSERT_EQ(error.code(), ExitCode::kBadData);
          ASSERT_EQ(std::string(error.what()).rfind("f: ", 0), 0u) << error.what();
        }
      }
    EXPECT_GT(refused, tried / 20);
  }
}

TEST(Jpeg, DamageBelowTheRegionIsNotLookedAt) {
  const std::string file = make_jpeg(make_photo(160, 160, 3));
  const Image image = decode_all(file, 3);
  const std::string half = file.substr(0, file.size() / 2);
  ImageDecoder decoder(3);
  decoder.open(bytes_of(half), "f");
  Image part;
  for (int i = 0; i < 2; ++i) {  // and an error leaves a decoder that can go on
    decoder.decode({0, 0, 160, 48}, kFullSize, part);
    expect_same(part, crop(image, {0, 0, 160, 48}), "above the end of the file");
    expect_error(ExitCode::kBadData, {"f: ", "Premature end"}, [&] {
      decoder.decode({0, 100, 160, 48}, kFullSize, part);
    });
  }
}

TEST(Jpeg, BytesBetweenSegmentsAreHarmlessUnlessTheyReplacePixels) {
  JpegOptions restarts;
  restarts.restart = 1;
  const std::string file = make_jpeg(make_photo(64, 16, 3), restarts);
  const Image image = decode_all(file, 3);
  const std::string junk(20, '\1');
  const size_t table = file.find("\xff\xdb"), end = file.size() - 2, second = file.find("\xff\xd0");
  ASSERT_NE(second, std::string::npos);
  expect_same(decode_all(file.substr(0, table) + junk + file.substr(table), 3), image, "before tables");
  expect_same(decode_all(file.substr(0, end) + junk + file.substr(end), 3), image, "before the end");
  expect_same(decode_all(file + junk, 3), image, "behind the end");
  expect_bad_image({"Premature end"}, file.substr(0, end) + junk);  // though all pixels are there
  expect_bad_image({"extraneous bytes before marker 0xd0"}, file.substr(0, second) + junk + file.substr(second));
}

TEST(Jpeg, OddHeadersAreHarmless) {
  const std::string file = make_jpeg(make_photo(32, 16, 3));
  const Image image = decode_all(file, 3);
  std::string new_jfif = file, odd_scan = file;
  new_jfif[file.find("JFIF") + 5] = 7;
  odd_scan[file.find("\xff\xda") + 12] = 5;  // the last coefficient of the scan
  const std::string adobe(
      "\xff\xee\0\x0e"
      "Adobe\0\x64\0\0\0\0\x07",
      16);  // an unknown colour transform
  const size_t jfif_end = 2 + 18;
  std::string no_jfif = file.substr(0, 2) + adobe + file.substr(jfif_end);
  for (const std::string& odd : {new_jfif, odd_scan, no_jfif}) expect_same(decode_all(odd, 3), image, "odd");
}

TEST(Jpeg, ScansThatContradictEachOtherAreDamage) {
  JpegOptions options;
  options.progressive = true;
  const std::string file = make_jpeg(make_photo(32, 16, 3), options);
  const size_t last = file.rfind("\xff\xda"), tables = file.rfind("\xff\xc4");
  const std::string scan = file.substr(std::min(last, tables), file.size() - 2 - std::min(last, tables));
  expect_bad_image({"Inconsistent progression"}, file.substr(0, file.size() - 2) + scan + "\xff\xd9");
}

// The file's bytes with the size in its SOF segment replaced.
std::string with_size(std::string file, int width, int height, bool progressive = false) {
  const size_t sof = file.find(progressive ? "\xff\xc2" : "\xff\xc0");
  for (const auto& [offset, value] : {std::pair(5, height), {7, width}}) {
    file[sof + static_cast<size_t>(offset)] = static_cast<char>(value >> 8);
    file[sof + static_cast<size_t>(offset) + 1] = static_cast<char>(value);
  }
  return file;
}

TEST(Jpeg, PromisesBeyondTheFileAreRefusedBeforeAllocating) {
  JpegOptions progressive;
  progressive.progressive = true;
  for (const JpegOptions& options : {JpegOptions(), progressive}) {
    const std::string file = make_jpeg(make_photo(8, 8, 3), options);
    const auto open = [&](int width, int height) {
      ImageDecoder(3).open(bytes_of(with_size(file, width, height, options.progressive)), "huge");
    };
    expect_error(ExitCode::kBadData, {"huge: ", "178956970 pixels", "65500x65500"}, [&] { open(65500, 65500); });
    expect_error(ExitCode::kBadData, {"huge: ", "13000x13000", "found only"}, [&] { open(13000, 13000); });
    expect_error(ExitCode::kBadData, {"huge: ", "Empty JPEG image"}, [&] { open(0, 8); });
    expect_error(ExitCode::kBadData, {"huge: ", "Empty JPEG image"}, [&] { open(8, 0); });
  }
}

TEST(Jpeg, SmallFilesMayHoldLargeFlatImages) {
  Image flat;
  flat.resize(1024, 1024, 3);
  for (const bool arithmetic : {false, true}) {
    JpegOptions options = {.sampling = {{2, 2}, {1, 1}, {1, 1}}};
    options.arithmetic = arithmetic;
    expect_same(decode_all(make_jpeg(flat, options), 3), flat, "flat");
  }
}

TEST(Jpeg, ThousandsOfScansAreRefused) {
  JpegOptions options;
  for (const int lowest : {3, 2, 1, 0})
    for (int k = 1; k < 64; ++k)
      for (int c = 0; c < 3; ++c) options.scans.push_back({1, {c}, k, k, lowest == 3 ? 0 : lowest + 1, lowest});
  options.scans.insert(options.scans.begin(), {3, {0, 1, 2}, 0, 0, 0, 0});
  expect_bad_image({"more than 500 scans"}, make_jpeg(make_photo(16, 16, 3), options));
  options.scans.resize(500);
  decode_all(make_jpeg(make_photo(16, 16, 3), options), 3);
}

TEST(Jpeg, WhatIsNotSupportedIsNamed) {
  std::string file = make_jpeg(make_photo(8, 8, 3));
  const size_t sof = file.find("\xff\xc0");
  std::string twelve = file, lossless = file;
  twelve[sof + 4] = 12;
  lossless[sof + 1] = '\xc3';
  expect_bad_image({"a JPEG of 8 bits a channel, found 12"}, twelve);
  expect_bad_image({"SOF type 0xc3"}, lossless);
  expect_bad_image({"found 2 channels of unknown meaning"}, make_jpeg(make_photo(8, 8, 2)));
}

// A decoder must not remember tables: the pixels of a file would depend on what was read before it.
TEST(Jpeg, NothingIsKeptFromFileToFile) {
  const std::string file = make_jpeg(make_photo(8, 8, 3)), bare = make_jpeg(make_photo(8, 8, 3), {.tables = false});
  ImageDecoder decoder(3);
  Image image;
  decoder.open(bytes_of(file), "first");
  decoder.decode({0, 0, 8, 8}, kFullSize, image);
  expect_error(ExitCode::kBadData, {"second: ", "table"}, [&] {
    decoder.open(bytes_of(bare), "second");
    decoder.decode({0, 0, 8, 8}, kFullSize, image);
  });
}

}  // namespace
}  // namespace convoy
