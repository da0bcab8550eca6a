#include "core/data/repack.h"

#include <algorithm>
#include <cmath>

#include "core/image/encoder.h"

namespace convoy {
namespace {

// `size` with its shorter side at most `side`, if that is not 0.
ImageSize bounded(ImageSize size, int side) {
  const int shorter = std::min(size.width, size.height);
  if (side == 0 || shorter <= side) return size;
  const auto scaled = [&](int length) {
    return static_cast<int>(std::lround(static_cast<double>(length) * side / shorter));
  };
  return {scaled(size.width), scaled(size.height)};
}

bool is_grey(const Image& image) {
  for (size_t i = 0; i + 2 < image.pixels.size(); i += 3)
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2]) return false;
  return true;
}

void drop_colour(Image& image) {
  for (size_t i = 0; 3 * i < image.pixels.size(); ++i) image.pixels[i] = image.pixels[3 * i];
  image.resize(image.width, image.height, 1);
}

}  // namespace

std::vector<std::byte> Repacker::operator()(std::span<const std::byte> file, const std::string& name) {
  const ImageSize size = decoder_.open(file, name), target = bounded(size, options_.side);
  const Box box = decoder_.decode({0, 0, size.width, size.height}, target, decoded_);
  if (target == size && !options_.decoded) return {file.begin(), file.end()};
  const bool fits = decoded_.size() == target;
  if (!fits) resizer_.resize(decoded_, box, target, resized_);
  Image& image = fits ? decoded_ : resized_;
  if (is_grey(image)) drop_colour(image);
  return options_.decoded ? encode_pnm(image) : encode_jpeg(image, options_.quality);
}

}  // namespace convoy
