#include "core/image/color.h"

#include <gtest/gtest.h>

#include "tests/core/image/images.h"

namespace convoy {
namespace {

using Change = void (*)(const ImageView&, double);
template <auto kFunction>
void with(const ImageView& image, double factor) {
  kFunction(image, static_cast<float>(factor));
}
template <auto kFunction>
void without(const ImageView& image, double) {
  kFunction(image);
}
void posterize_to(const ImageView& image, double bits) { posterize(image, static_cast<int>(bits)); }

struct PillowCase {
  const char* name;
  Change change;
  double factor;
  uint64_t hash[6];  // of the images below
};

Image case_image(int k) {
  switch (k) {
    case 0: return noise_image(37, 29, 3);
    case 1: return noise_image(37, 29, 1);
    case 2: return noise_image(40, 50, 3, 30, 140);
    case 3: return noise_image(40, 50, 1, 200, 201);
    case 4: return noise_image(2, 9, 3);
    default: return noise_image(3, 3, 1, 7, 7);
  }
}

// From tests/oracles/pillow_values.py with Pillow 12.3.
const PillowCase kPillow[] = {
    {"adjust_brightness",
     with<adjust_brightness>,
     0,
     {0xf37fc53a076e0377, 0x34d622e63423171f, 0xf411f1482a08c7e5, 0x79b4da79586cdf65, 0xc5d70e2e7111f6fd,
      0xe604823a249029bf}},
    {"adjust_brightness",
     with<adjust_brightness>,
     0.3,
     {0x00b34bbe27c7abd9, 0xc147b7bc1043a21f, 0x8a6e92464074294d, 0xccd954e617ab7725, 0xabc56f2c468cf0c9,
      0xf94d5ce7940ff145}},
    {"adjust_brightness",
     with<adjust_brightness>,
     1,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_brightness",
     with<adjust_brightness>,
     1.7,
     {0x40525ea8c286abb1, 0x819e652cb7f707be, 0x28d3aed84f9383a2, 0xc8270daf600a3d95, 0x6cc62accd63cbb6b,
      0xbc2437f8f5f763e2}},
    {"adjust_contrast",
     with<adjust_contrast>,
     0,
     {0xcb450c0fd037baf7, 0xc4363c09618ef8c5, 0x854d7c128ef9b935, 0xc76c3d3c43a51d35, 0x42fca830a0d8390b,
      0x5c6b9438e6df657e}},
    {"adjust_contrast",
     with<adjust_contrast>,
     0.3,
     {0x8e28cffef584338b, 0x028d852d5ca9305e, 0x96d243b5a1006759, 0x1025430c14499f03, 0x495c1c9f86371570,
      0x5c6b9438e6df657e}},
    {"adjust_contrast",
     with<adjust_contrast>,
     1,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_contrast",
     with<adjust_contrast>,
     1.7,
     {0x7eb00148229f63c4, 0xb970920b4260d35b, 0x96822199691e69e7, 0x1171eee0b74dbe89, 0xa521e5d41ab6779e,
      0x5c6b9438e6df657e}},
    {"adjust_saturation",
     with<adjust_saturation>,
     0,
     {0x7b6726dee8b85aaf, 0x3c53149de8de249f, 0x2057b4dcbbb84894, 0x1025430c14499f03, 0x72cada767ab62c9e,
      0x5c6b9438e6df657e}},
    {"adjust_saturation",
     with<adjust_saturation>,
     0.3,
     {0x5d8d52a6bc9327c0, 0x3c53149de8de249f, 0x1ddb46cb1753336c, 0x1025430c14499f03, 0x71dd002f46c86aed,
      0x5c6b9438e6df657e}},
    {"adjust_saturation",
     with<adjust_saturation>,
     1,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_saturation",
     with<adjust_saturation>,
     1.7,
     {0xb8b4281ca930ec74, 0x3c53149de8de249f, 0x54777340ae5d5ec4, 0x1025430c14499f03, 0x366953b5625059bc,
      0x5c6b9438e6df657e}},
    {"adjust_sharpness",
     with<adjust_sharpness>,
     0,
     {0xc09a192fbe38f097, 0x3866dbe8f0a83eb2, 0x70eb80c1cf25b440, 0xd2e3405c2e93138d, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_sharpness",
     with<adjust_sharpness>,
     0.3,
     {0xe55876664eb37283, 0xbd845df5e3146677, 0x14c79dd9e6c5be13, 0xf1179e03d67a3e08, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_sharpness",
     with<adjust_sharpness>,
     1,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_sharpness",
     with<adjust_sharpness>,
     1.7,
     {0xcad843b098ef48a6, 0x8a5275d6c9925751, 0x103250e1d1624329, 0xb118a5f998827c14, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"adjust_hue",
     with<adjust_hue>,
     -0.5,
     {0x7132a93ae7ba9a03, 0x3c53149de8de249f, 0xaa6040332c29b11b, 0x1025430c14499f03, 0x8168fa76757549a1,
      0x5c6b9438e6df657e}},
    {"adjust_hue",
     with<adjust_hue>,
     -0.1,
     {0xae564f74389ce3e6, 0x3c53149de8de249f, 0xb2f5e7d08b63f286, 0x1025430c14499f03, 0x31802b66de5b0292,
      0x5c6b9438e6df657e}},
    {"adjust_hue",
     with<adjust_hue>,
     0,
     {0xb037dd7383357f40, 0x3c53149de8de249f, 0xef0babbfece14672, 0x1025430c14499f03, 0xe4a4a39f809b5397,
      0x5c6b9438e6df657e}},
    {"adjust_hue",
     with<adjust_hue>,
     0.25,
     {0x873da3550b0aa5f8, 0x3c53149de8de249f, 0x2a2086d32968fcba, 0x1025430c14499f03, 0x54c903093c010629,
      0x5c6b9438e6df657e}},
    {"adjust_hue",
     with<adjust_hue>,
     0.5,
     {0x4cb2c90303f5d3d6, 0x3c53149de8de249f, 0xcdaf3893473cd544, 0x1025430c14499f03, 0x587e819ba36ef6a5,
      0x5c6b9438e6df657e}},
    {"posterize",
     posterize_to,
     1,
     {0x5d1d3e46bb098077, 0xdc7641adc7114c9f, 0x6badcb5c3a062e65, 0x417f30bb6efcbb65, 0xf3fdd9e7fd08f6fd,
      0xe604823a249029bf}},
    {"posterize",
     posterize_to,
     3,
     {0x218a78f189558157, 0x0629d32cca06493f, 0x2446be4c425a1525, 0x8caf5a0839c2a065, 0x0b65bcf36555ed7d,
      0xe604823a249029bf}},
    {"posterize",
     posterize_to,
     8,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"solarize",
     with<solarize>,
     0,
     {0x6380c7563706c5b1, 0x782f08bc3e7fd84a, 0x38f8ca37e97452b5, 0x8bb2ba6961b90993, 0x857cecadb2387d78,
      0x421eaa7ca574ac27}},
    {"solarize",
     with<solarize>,
     99.5,
     {0x02a388573bb77522, 0xc23284ced8afe639, 0x39fec2584f6ea190, 0x8bb2ba6961b90993, 0x8ae296d35f145253,
      0x5c6b9438e6df657e}},
    {"solarize",
     with<solarize>,
     100,
     {0x02a388573bb77522, 0xc23284ced8afe639, 0x39fec2584f6ea190, 0x8bb2ba6961b90993, 0x8ae296d35f145253,
      0x5c6b9438e6df657e}},
    {"solarize",
     with<solarize>,
     256,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x9113967b8a9481c9, 0x1025430c14499f03, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
    {"invert",
     without<invert>,
     0,
     {0x6380c7563706c5b1, 0x782f08bc3e7fd84a, 0x38f8ca37e97452b5, 0x8bb2ba6961b90993, 0x857cecadb2387d78,
      0x421eaa7ca574ac27}},
    {"autocontrast",
     without<autocontrast>,
     0,
     {0xf50d6f2037fd4b22, 0x3c53149de8de249f, 0x387b46598af9ac09, 0x255ef58d5c6e7957, 0x8e3d50fd849667ae,
      0x5c6b9438e6df657e}},
    {"equalize",
     without<equalize>,
     0,
     {0x4dda584f322ff752, 0xc5e2f11a3e59571d, 0xc04068c6dff2fd75, 0x255ef58d5c6e7957, 0xf250437cd5c7599a,
      0x5c6b9438e6df657e}},
};

TEST(Colour, EqualToPillow) {
  for (const PillowCase& c : kPillow)
    for (int k = 0; k < 6; ++k) {
      Image image = case_image(k);
      c.change(view(image), c.factor);
      EXPECT_EQ(fnv1a(image.pixels), c.hash[k]) << c.name << " " << c.factor << ", image " << k;
    }
}

TEST(Colour, AFactorOfOneChangesNothing) {
  for (int k = 0; k < 6; ++k)
    for (const Change change :
         {with<adjust_brightness>, with<adjust_contrast>, with<adjust_saturation>, with<adjust_sharpness>}) {
      Image image = case_image(k);
      change(view(image), 1);
      EXPECT_EQ(image.pixels, case_image(k).pixels);
    }
}

TEST(Colour, InvertingTwiceChangesNothing) {
  Image image = case_image(0);
  invert(view(image));
  EXPECT_NE(image.pixels, case_image(0).pixels);
  invert(view(image));
  EXPECT_EQ(image.pixels, case_image(0).pixels);
}

TEST(Colour, HueTurnsPrimaries) {
  Image image;
  image.resize(1, 1, 3);
  image.pixels = {255, 0, 0};
  adjust_hue(view(image), 1.0 / 3 + 0.001);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{0, 255, 0}));
}

}  // namespace
}  // namespace convoy
