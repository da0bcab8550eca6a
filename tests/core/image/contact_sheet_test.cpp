#include "core/image/contact_sheet.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace convoy {
namespace {

Image filled(int width, int height, const std::vector<uint8_t>& colour) {
  Image image;
  image.resize(width, height, static_cast<int>(colour.size()));
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % colour.size()];
  return image;
}

// Part of the red channel: '#' for 0, '.' for 255, 'x' for what is between.
std::vector<std::string> picture(const Image& image, int left, int top, int width, int height) {
  std::vector<std::string> rows;
  for (int y = top; y < top + height; ++y) {
    std::string& row = rows.emplace_back();
    for (int x = left; x < left + width; ++x) {
      const int red = image.row(y)[3 * x];
      row += red == 0 ? '#' : red == 255 ? '.' : 'x';
    }
  }
  return rows;
}

TEST(ContactSheet, ImagesAndTextsStandInAGrid) {
  const Image sheet =
      contact_sheet({filled(11, 3, {1, 2, 3}), filled(11, 3, {9}), filled(11, 3, {7, 8, 9})}, {"a1", "-", ""}, 2);
  EXPECT_EQ(sheet.size(), (ImageSize{2 + 2 * 13, 2 + 2 * (3 + 7 + 4)}));
  EXPECT_EQ(picture(sheet, 0, 1, 14, 12), (std::vector<std::string>{
                                              "..............",  //
                                              "..xxxxxxxxxxx.",  //
                                              "..xxxxxxxxxxx.",  //
                                              "..xxxxxxxxxxx.",  //
                                              "..............",  //
                                              "..............",  //
                                              "...###....#...",  //
                                              "..#...#..##...",  //
                                              "..#...#...#...",  //
                                              "..#####...#...",  //
                                              "..#...#...#...",  //
                                              "..#...#...#...",
                                          }));
  EXPECT_EQ(sheet.row(2)[3 * 2 + 2], 3);          // blue of the first
  EXPECT_EQ(sheet.row(4)[3 * (15 + 10) + 1], 9);  // the grey one
  EXPECT_EQ(sheet.row(16)[3 * 2 + 1], 8);         // second row
  EXPECT_EQ(sheet.row(16)[3 * 15], 255);          // nothing beside it
}

TEST(ContactSheet, LettersWithoutAPictureAreQuestionMarksAndLongTextsAreCut) {
  const Image one = contact_sheet({filled(16, 1, {0})}, {"?"}, 1),
              other = contact_sheet({filled(16, 1, {0})}, {"\xff"}, 1);
  EXPECT_EQ(one.pixels, other.pixels);
  const auto sheet = [](const char* text) { return contact_sheet({filled(16, 1, {0})}, {text}, 3).pixels; };
  EXPECT_EQ(sheet("ABCDEF"), sheet("AB"));  // 5 + 1 + 5 pixels; a third needs 17
  EXPECT_NE(sheet("AB"), sheet("AC"));
  EXPECT_EQ(sheet("ab"), sheet("AB"));
}

TEST(ContactSheet, SizesMustAgree) {
  EXPECT_THROW(contact_sheet({}, {}, 1), InternalError);
  EXPECT_THROW(contact_sheet({filled(2, 2, {0})}, {}, 1), InternalError);
  EXPECT_THROW(contact_sheet({filled(2, 2, {0}), filled(3, 2, {0})}, {"", ""}, 1), InternalError);
}

}  // namespace
}  // namespace convoy
