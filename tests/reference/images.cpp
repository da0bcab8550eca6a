// Layers that move pixels about.
#include <algorithm>
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// Calls body(index in x, index in y) for every element of x.
template <class Body>
void for_each_inside(const Pad& layer, const Array& x, const Array& y, Body body) {
  for (int n = 0; n < x.shape.n; ++n)
    for (int h = 0; h < x.shape.h; ++h)
      for (int w = 0; w < x.shape.w; ++w)
        for (int c = 0; c < x.shape.c; ++c)
          body(x.index(n, h, w, c), y.index(n, h + layer.options().top, w + layer.options().left, c));
}

// Calls body(index in x, index in y, share of x in y): of the four pixels around the place of each pixel of y, or of
// the one that it lies in.
template <class Body>
void for_each_share(const Upsample& layer, const Array& x, const Array& y, Body body) {
  const int scale_h = layer.options().scale_h, scale_w = layer.options().scale_w;
  const bool bilinear = layer.options().bilinear;
  // The share of input i in output o, along one direction.
  const auto share = [&](int i, int o, int scale, int size) {
    if (!bilinear) return o / scale == i ? 1.0 : 0.0;
    const double place = std::clamp((o + 0.5) / scale - 0.5, 0.0, size - 1.0);
    return std::max(0.0, 1 - std::abs(place - i));
  };
  for (int n = 0; n < y.shape.n; ++n)
    for (int oh = 0; oh < y.shape.h; ++oh)
      for (int ow = 0; ow < y.shape.w; ++ow)
        for (int ih = 0; ih < x.shape.h; ++ih)
          for (int iw = 0; iw < x.shape.w; ++iw) {
            const double both = share(ih, oh, scale_h, x.shape.h) * share(iw, ow, scale_w, x.shape.w);
            if (both == 0) continue;
            for (int c = 0; c < x.shape.c; ++c) body(x.index(n, ih, iw, c), y.index(n, oh, ow, c), both);
          }
}

}  // namespace

Outputs forward(const Pad& layer, const Inputs& in) {
  Outputs out;
  out.y = Array(layer.shape(std::vector{in.x[0].shape}));
  for (double& y : out.y.data) y = layer.options().value;
  for_each_inside(layer, in.x[0], out.y, [&](size_t i, size_t k) { out.y[k] = in.x[0][i]; });
  return out;
}

Gradients backward(const Pad& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  for_each_inside(layer, in.x[0], in.dy, [&](size_t i, size_t k) { g.dx[0][i] = in.dy[k]; });
  return g;
}

Outputs forward(const Upsample& layer, const Inputs& in) {
  Outputs out;
  out.y = Array(layer.shape(std::vector{in.x[0].shape}));
  for_each_share(layer, in.x[0], out.y, [&](size_t i, size_t k, double share) { out.y[k] += in.x[0][i] * share; });
  return out;
}

Gradients backward(const Upsample& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  for_each_share(layer, in.x[0], in.dy, [&](size_t i, size_t k, double share) { g.dx[0][i] += in.dy[k] * share; });
  return g;
}

}  // namespace convoy::reference
