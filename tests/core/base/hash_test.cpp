#include "core/base/hash.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

// From the reference implementation: XXH3 of nothing, seed 0.
TEST(Hash, EmptyInputHasThePublishedValue) {
  EXPECT_EQ(hash64(""), 0x2d06800538d394c2u);
  EXPECT_EQ(hash128_hex(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += static_cast<char>(i * 7);
  Hash128 hash;
  const auto bytes = std::as_bytes(std::span(text));
  hash.update(bytes.first(1));
  hash.update(bytes.subspan(1, 1999));
  EXPECT_EQ(hash.hex(), hash128_hex(text.substr(0, 2000)));
  hash.update(bytes.subspan(2000));
  EXPECT_EQ(hash.hex(), hash128_hex(text));
  EXPECT_EQ(hash128_hex(bytes), hash128_hex(text));
  EXPECT_EQ(hash64(bytes), hash64(text));
}

TEST(Hash, OneBitChangesIt) {
  EXPECT_NE(hash64("convoy"), hash64("convoz"));
  EXPECT_NE(hash128_hex("convoy"), hash128_hex("convoz"));
}

}  // namespace
}  // namespace convoy
