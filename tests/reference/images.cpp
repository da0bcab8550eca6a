// Layers that move pixels about.
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

}  // namespace convoy::reference
