#include "core/image/contact_sheet.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/base/error.h"

namespace convoy {
namespace {

constexpr int kGlyphWidth = 5, kGlyphHeight = 7;
constexpr int kAdvance = kGlyphWidth + 1;
constexpr int kMargin = 2;  // around images and texts

// Rows from top to bottom, a space behind each.
struct Glyph {
  char letter;
  std::string_view rows;
};
constexpr Glyph kGlyphs[] = {
    {'0', ".###. #...# #..## #.#.# ##..# #...# .###."}, {'1', "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###."},
    {'2', ".###. #...# ....# ...#. ..#.. .#... #####"}, {'3', "##### ...#. ..#.. ...#. ....# #...# .###."},
    {'4', "...#. ..##. .#.#. #..#. ##### ...#. ...#."}, {'5', "##### #.... ####. ....# ....# #...# .###."},
    {'6', "..##. .#... #.... ####. #...# #...# .###."}, {'7', "##### ....# ...#. ..#.. .#... .#... .#..."},
    {'8', ".###. #...# #...# .###. #...# #...# .###."}, {'9', ".###. #...# #...# .#### ....# ...#. .##.."},
    {'A', ".###. #...# #...# ##### #...# #...# #...#"}, {'B', "####. #...# #...# ####. #...# #...# ####."},
    {'C', ".###. #...# #.... #.... #.... #...# .###."}, {'D', "####. #...# #...# #...# #...# #...# ####."},
    {'E', "##### #.... #.... ####. #.... #.... #####"}, {'F', "##### #.... #.... ####. #.... #.... #...."},
    {'G', ".###. #...# #.... #.### #...# #...# .###."}, {'H', "#...# #...# #...# ##### #...# #...# #...#"},
    {'I', ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###."}, {'J', "..### ...#. ...#. ...#. ...#. #..#. .##.."},
    {'K', "#...# #..#. #.#.. ##... #.#.. #..#. #...#"}, {'L', "#.... #.... #.... #.... #.... #.... #####"},
    {'M', "#...# ##.## #.#.# #.#.# #...# #...# #...#"}, {'N', "#...# ##..# #.#.# #..## #...# #...# #...#"},
    {'O', ".###. #...# #...# #...# #...# #...# .###."}, {'P', "####. #...# #...# ####. #.... #.... #...."},
    {'Q', ".###. #...# #...# #...# #.#.# #..#. .##.#"}, {'R', "####. #...# #...# ####. #.#.. #..#. #...#"},
    {'S', ".#### #.... #.... .###. ....# ....# ####."}, {'T', "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#.."},
    {'U', "#...# #...# #...# #...# #...# #...# .###."}, {'V', "#...# #...# #...# #...# #...# .#.#. ..#.."},
    {'W', "#...# #...# #...# #.#.# #.#.# ##.## #...#"}, {'X', "#...# #...# .#.#. ..#.. .#.#. #...# #...#"},
    {'Y', "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#.."}, {'Z', "##### ....# ...#. ..#.. .#... #.... #####"},
    {' ', "..... ..... ..... ..... ..... ..... ....."}, {'.', "..... ..... ..... ..... ..... .##.. .##.."},
    {',', "..... ..... ..... ..... .##.. ..#.. .#..."}, {':', "..... .##.. .##.. ..... .##.. .##.. ....."},
    {'-', "..... ..... ..... ##### ..... ..... ....."}, {'+', "..... ..#.. ..#.. ##### ..#.. ..#.. ....."},
    {'_', "..... ..... ..... ..... ..... ..... #####"}, {'/', "....# ....# ...#. ..#.. .#... #.... #...."},
    {'=', "..... ..... ##### ..... ##### ..... ....."}, {'%', "##..# ##..# ...#. ..#.. .#... #..## #..##"},
    {'(', "...#. ..#.. .#... .#... .#... ..#.. ...#."}, {')', ".#... ..#.. ...#. ...#. ...#. ..#.. .#..."},
    {'?', ".###. #...# ....# ...#. ..#.. ..... ..#.."},
};

std::string_view rows_of(char letter) {
  const auto upper = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  const auto* glyph = std::ranges::find(kGlyphs, upper, &Glyph::letter);
  return glyph != std::end(kGlyphs) ? glyph->rows : std::prev(std::end(kGlyphs))->rows;  // the last is '?'
}

// What is beyond `width` pixels is cut.
void draw_text(Image& sheet, int left, int top, int width, std::string_view text) {
  for (int i = 0; i < static_cast<int>(text.size()) && i * kAdvance + kGlyphWidth <= width; ++i) {
    const std::string_view rows = rows_of(text[static_cast<size_t>(i)]);
    for (int y = 0; y < kGlyphHeight; ++y)
      for (int x = 0; x < kGlyphWidth; ++x)
        if (rows[static_cast<size_t>(y) * kAdvance + static_cast<size_t>(x)] == '#')
          std::fill_n(sheet.row(top + y) + 3 * static_cast<ptrdiff_t>(left + i * kAdvance + x), 3, uint8_t{0});
  }
}

void draw_image(Image& sheet, int left, int top, const Image& image) {
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* from = image.row(y);
    uint8_t* to = sheet.row(top + y) + 3 * static_cast<ptrdiff_t>(left);
    for (int value = 0; value < 3 * image.width; ++value) to[value] = from[image.channels == 3 ? value : value / 3];
  }
}

}  // namespace

Image contact_sheet(const std::vector<Image>& images, const std::vector<std::string>& texts, int columns) {
  CHECK(!images.empty() && images.size() == texts.size() && columns >= 1);
  const int count = static_cast<int>(images.size()), rows = (count + columns - 1) / columns;
  const ImageSize size = images.front().size();
  const int step_x = size.width + kMargin, step_y = size.height + kGlyphHeight + 2 * kMargin;
  Image sheet;
  sheet.resize(std::min(columns, count) * step_x + kMargin, rows * step_y + kMargin, 3);
  std::ranges::fill(sheet.pixels, uint8_t{255});
  for (int i = 0; i < count; ++i) {
    const Image& image = images[static_cast<size_t>(i)];
    CHECK(image.size() == size && (image.channels == 1 || image.channels == 3));
    const int left = kMargin + i % columns * step_x, top = kMargin + i / columns * step_y;
    draw_image(sheet, left, top, image);
    draw_text(sheet, left, top + size.height + kMargin, size.width, texts[static_cast<size_t>(i)]);
  }
  return sheet;
}

}  // namespace convoy
