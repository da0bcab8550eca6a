// Shifting, shearing and turning an image, as torchvision's functions on PIL images and Pillow's Image.transform().
//
// Equal to Pillow bit for bit: `kNearest` in its 16.16 fixed point (or, for a matrix without turn and shear, and for
// coordinates beyond 32768, in its sums of doubles), `kBilinear` in its doubles.  Matrices are computed with the C
// library's sin, cos and tan, as Python does.
#pragma once

#include <array>

#include "core/image/image_view.h"

namespace convoy {

enum class Interpolation { kNearest, kBilinear };

// Where in the source the pixel (x, y) of the result comes from: (a x + b y + c, d x + e y + f), of the middles of
// pixels, which are at halves.
using AffineMatrix = std::array<double, 6>;

// torchvision's affine() with scale 1.  Angles in degrees, lengths in pixels; (centre_x, centre_y) stays in place.
struct AffineOptions {
  double angle = 0, shear_x = 0, shear_y = 0;
  double translate_x = 0, translate_y = 0;
  double centre_x = 0, centre_y = 0;
};
AffineMatrix affine_matrix(const AffineOptions& options);

// Pillow's Image.rotate(): counter-clockwise around the middle of an image of this size.
AffineMatrix rotation_matrix(double degrees, int width, int height);

// In place, by way of a copy that each thread keeps.  What comes from outside becomes `fill`, in all channels.
void transform(const ImageView& image, const AffineMatrix& matrix, Interpolation interpolation, uint8_t fill);

}  // namespace convoy
