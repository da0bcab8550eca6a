#include "core/data/repack.h"

#include <cstdlib>

#include "core/data/image_folder.h"
#include "core/image/encoder.h"
#include "tests/core/base/testing.h"
#include "tests/core/data/testing.h"

namespace convoy {
namespace {

// A slope from dark to bright; grey, or with more red than blue.
Image slope(int width, int height, bool grey) {
  Image image;
  image.resize(width, height, 3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.row(y)[3 * x + c] = static_cast<uint8_t>(200 * (x + y) / (width + height) + (grey ? 0 : 20 - 10 * c));
  return image;
}

Image decode(const std::vector<std::byte>& file) {
  ImageDecoder decoder(3);
  const ImageSize size = decoder.open(file, "stored");
  Image image;
  decoder.decode({0, 0, size.width, size.height}, size, image);
  return image;
}

TEST(Repack, SmallEnoughStaysAsItIs) {
  const std::vector<std::byte> file = encode_jpeg(slope(40, 30, false), 80);
  EXPECT_EQ(Repacker({})(file, "f"), file);
  EXPECT_EQ(Repacker({.side = 30})(file, "f"), file);
}

TEST(Repack, TheShorterSideIsBounded) {
  const Image image = slope(400, 300, false), small = slope(200, 150, false);
  const Image stored = decode(Repacker({.side = 150, .quality = 95})(encode_png(image), "f"));
  EXPECT_EQ(stored.size(), small.size());
  for (size_t i = 0; i < small.pixels.size(); ++i) ASSERT_NEAR(stored.pixels[i], small.pixels[i], 6) << i;
  EXPECT_EQ(decode(Repacker({.side = 7})(encode_png(slope(3000, 10, false)), "f")).size(), (ImageSize{2100, 7}));
}

TEST(Repack, DecodedImagesAreTheirPixels) {
  const Image image = slope(40, 30, false);
  const std::vector<std::byte> stored = Repacker({.decoded = true})(encode_png(image), "f");
  EXPECT_EQ(stored, encode_pnm(image));
  EXPECT_EQ(decode(Repacker({.side = 15, .decoded = true})(encode_png(image), "f")).size(), (ImageSize{20, 15}));
}

TEST(Repack, GreyImagesAreStoredGrey) {
  const Image image = slope(40, 30, true);
  const std::vector<std::byte> stored = Repacker({.decoded = true})(encode_png(image), "f");
  EXPECT_EQ(stored.size(), 13 + 40u * 30u);  // "P5\n40 30\n255\n"
  EXPECT_EQ(decode(stored).pixels, image.pixels);
}

TEST(Repack, DamageIsNamed) {
  expect_error(ExitCode::kBadData, {"a/1.jpg"}, [] { Repacker({})(to_bytes("garbage"), "a/1.jpg"); });
  const std::vector<std::byte> file = encode_jpeg(slope(400, 300, false), 80);
  const auto half = std::span(file).first(file.size() / 2);
  expect_error(ExitCode::kBadData, {"a/1.jpg"}, [&] { Repacker({.side = 100})(half, "a/1.jpg"); });
  expect_error(ExitCode::kBadData, {"a/1.jpg"}, [&] { Repacker({})(half, "a/1.jpg"); });  // though kept as it is
}

}  // namespace
}  // namespace convoy
