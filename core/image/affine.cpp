#include "core/image/affine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace convoy {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kFixedLimit = 32768;  // of coordinates in 16.16 fixed point

// As math.radians().
double radians(double degrees) { return degrees * (kPi / 180); }

// As Python's round(value, 15), for -1 <= value <= 1: sines that should be 0 or 1 become so.  A product of doubles
// would round -0.70710678118654746 up.
double rounded15(double value) { return static_cast<double>(std::nearbyint(value * 1e15L)) / 1e15; }

// Truncates, but nothing negative becomes 0.
int64_t pixel_of(double coordinate) { return coordinate < 0 ? -1 : static_cast<int64_t>(coordinate); }
int64_t pixel_of(int64_t fixed) { return fixed >> 16; }

// Number: double or 16.16 fixed point.  Positions are summed up from the first pixel on, as Pillow does.
template <class Number, int kChannels>
void walk(const ImageView& from, const std::array<Number, 6>& m, uint8_t* to) {
  auto [dx, dx_row, x_row, dy, dy_row, y_row] = m;
  for (int row = 0; row < from.height; ++row, x_row += dx_row, y_row += dy_row) {
    Number x = x_row, y = y_row;
    for (int column = 0; column < from.width; ++column, x += dx, y += dy, to += kChannels) {
      const int64_t u = pixel_of(x), v = pixel_of(y);
      if (u >= 0 && u < from.width && v >= 0 && v < from.height)
        std::memcpy(to, from.pixels + (v * from.width + u) * kChannels, kChannels);
    }
  }
}

template <class Number>
void walk(const ImageView& from, const std::array<Number, 6>& m, uint8_t* to) {
  if (from.channels == 3)
    walk<Number, 3>(from, m, to);
  else
    walk<Number, 1>(from, m, to);
}

bool fits_fixed_point(const AffineMatrix& m, double x, double y) {
  return std::abs(x * m[0] + y * m[1] + m[2]) < kFixedLimit && std::abs(x * m[3] + y * m[4] + m[5]) < kFixedLimit;
}

int64_t to_fixed(double value) { return static_cast<int64_t>(std::floor(value * 65536 + 0.5)); }

void nearest(const ImageView& from, const AffineMatrix& m, uint8_t* to) {
  const double w = from.width, h = from.height;
  const bool scaling = m[1] == 0 && m[3] == 0;
  if (!scaling && fits_fixed_point(m, 0, 0) && fits_fixed_point(m, w, h) && fits_fixed_point(m, 0, h) &&
      fits_fixed_point(m, w, 0)) {
    walk<int64_t>(from,
                  {to_fixed(m[0]), to_fixed(m[1]), to_fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), to_fixed(m[3]),
                   to_fixed(m[4]), to_fixed(m[5] + m[3] * 0.5 + m[4] * 0.5)},
                  to);
  } else {
    walk<double>(from, {m[0], m[1], m[2] + m[1] * 0.5 + m[0] * 0.5, m[3], m[4], m[5] + m[4] * 0.5 + m[3] * 0.5}, to);
  }
}

// Of the four pixels around (x, y), of which those outside are the nearest ones inside.
void mix(const ImageView& from, double x, double y, uint8_t* to) {
  const double left = std::floor(x), top = std::floor(y), dx = x - left, dy = y - top;
  const int u = static_cast<int>(left), v = static_cast<int>(top), c = from.channels;
  const uint8_t* const above = from.row(std::max(v, 0));
  const uint8_t* const below = from.row(std::min(v + 1, from.height - 1));
  const int x0 = std::max(u, 0) * c, x1 = std::min(u + 1, from.width - 1) * c;
  for (int k = 0; k < c; ++k) {
    const double first = above[x0 + k] + (above[x1 + k] - above[x0 + k]) * dx;
    const double second = below[x0 + k] + (below[x1 + k] - below[x0 + k]) * dx;
    to[k] = static_cast<uint8_t>(first + (second - first) * dy);
  }
}

void bilinear(const ImageView& from, const AffineMatrix& m, uint8_t* to) {
  for (int row = 0; row < from.height; ++row)
    for (int column = 0; column < from.width; ++column, to += from.channels) {
      const double x = m[0] * (column + 0.5) + m[1] * (row + 0.5) + m[2];
      const double y = m[3] * (column + 0.5) + m[4] * (row + 0.5) + m[5];
      if (x >= 0 && x < from.width && y >= 0 && y < from.height) mix(from, x - 0.5, y - 0.5, to);
    }
}

}  // namespace

AffineMatrix affine_matrix(const AffineOptions& options) {
  const double turn = radians(options.angle), sx = radians(options.shear_x), sy = radians(options.shear_y);
  const double a = std::cos(turn - sy) / std::cos(sy);
  const double b = -std::cos(turn - sy) * std::tan(sx) / std::cos(sy) - std::sin(turn);
  const double c = std::sin(turn - sy) / std::cos(sy);
  const double d = -std::sin(turn - sy) * std::tan(sx) / std::cos(sy) + std::cos(turn);
  // The inverse; the determinant is 1.
  AffineMatrix m = {d, -b, 0, -c, a, 0};
  const double x = -options.centre_x - options.translate_x, y = -options.centre_y - options.translate_y;
  m[2] = m[0] * x + m[1] * y + options.centre_x;
  m[5] = m[3] * x + m[4] * y + options.centre_y;
  return m;
}

AffineMatrix rotation_matrix(double degrees, int width, int height) {
  const double turn = -radians(degrees - 360 * std::floor(degrees / 360));
  const double cosine = rounded15(std::cos(turn)), sine = rounded15(std::sin(turn));
  const double x = width / 2.0, y = height / 2.0;
  return {cosine, sine, cosine * -x + sine * -y + 0.0 + x, -sine, cosine, -sine * -x + cosine * -y + 0.0 + y};
}

void transform(const ImageView& image, const AffineMatrix& matrix, Interpolation interpolation, uint8_t fill) {
  thread_local std::vector<uint8_t> copy;
  copy.assign(image.pixels, image.pixels + image.bytes());
  const ImageView from = {copy.data(), image.width, image.height, image.channels};
  std::memset(image.pixels, fill, image.bytes());
  if (interpolation == Interpolation::kNearest)
    nearest(from, matrix, image.pixels);
  else
    bilinear(from, matrix, image.pixels);
}

}  // namespace convoy
