#include "core/image/image.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Image, RowsLieWithoutGapsAndMemoryIsKept) {
  Image image;
  image.resize(5, 4, 3);
  EXPECT_EQ(image.pixels.size(), 60u);
  EXPECT_EQ(image.row(3) - image.row(0), 45);
  const uint8_t* const memory = image.pixels.data();
  image.resize(3, 2, 1);
  image.resize(5, 4, 3);
  EXPECT_EQ(image.pixels.data(), memory);
}

}  // namespace
}  // namespace convoy
