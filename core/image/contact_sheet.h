// A grid of images with a line of text below each.
#pragma once

#include <string>
#include <vector>

#include "core/image/image.h"

namespace convoy {

// Left to right, then down, `columns` in a row; RGB on white.  Letters are 5x7 pixels, all capitals, '?' for what has
// no picture; a line that is wider than its image is cut.  Requires: images of one size, 1 or 3 channels each, as many
// texts, columns >= 1.
Image contact_sheet(const std::vector<Image>& images, const std::vector<std::string>& texts, int columns);

}  // namespace convoy
