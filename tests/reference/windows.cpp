// Convolution, linear (a convolution of one pixel) and pools.
#include <algorithm>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// Calls body(n, output row, output column, kernel row, kernel column, input row, input column) for every element of
// every window that lies in the image.
template <class Body>
void for_each_tap(const Window& window, const Shape& x, Body body) {
  const auto [h, w] = window_axes(window, x);
  for (int n = 0; n < x.n; ++n)
    for (int oh = 0; oh < h.output; ++oh)
      for (int ow = 0; ow < w.output; ++ow)
        for (int kh = 0; kh < h.kernel; ++kh)
          for (int kw = 0; kw < w.kernel; ++kw) {
            const int ih = oh * h.stride - h.low + kh * h.dilation, iw = ow * w.stride - w.low + kw * w.dilation;
            if (ih >= 0 && ih < h.input && iw >= 0 && iw < w.input) body(n, oh, ow, kh, kw, ih, iw);
          }
}

// Calls body(index in x, in w, in y) for every product of a convolution.
template <class Body>
void for_each_product(const Conv2dOptions& options, const Array& x, const Array& w, const Array& y, Body body) {
  const int filters_of_group = y.shape.c / options.groups;
  for_each_tap(options.window, x.shape, [&](int n, int oh, int ow, int kh, int kw, int ih, int iw) {
    for (int o = 0; o < y.shape.c; ++o)
      for (int i = 0; i < w.shape.c; ++i)
        body(x.index(n, ih, iw, o / filters_of_group * w.shape.c + i), w.index(o, kh, kw, i), y.index(n, oh, ow, o));
  });
}

// The same of a transposed convolution, by the formula in its header.
template <class Body>
void for_each_product(const ConvTranspose& layer, const Array& x, const Array& w, const Array& y, Body body) {
  const auto [h_axis, w_axis] = layer.axes(x.shape);
  for (int n = 0; n < x.shape.n; ++n)
    for (int p = 0; p < x.shape.h; ++p)
      for (int q = 0; q < x.shape.w; ++q)
        for (int r = 0; r < w.shape.h; ++r)
          for (int s = 0; s < w.shape.w; ++s) {
            const int oh = p * h_axis.stride - h_axis.low + r, ow = q * w_axis.stride - w_axis.low + s;
            if (oh < 0 || oh >= y.shape.h || ow < 0 || ow >= y.shape.w) continue;
            for (int o = 0; o < y.shape.c; ++o)
              for (int i = 0; i < x.shape.c; ++i) body(x.index(n, p, q, i), w.index(o, r, s, i), y.index(n, oh, ow, o));
          }
}

// Calls body(index in x, in y) for every element of every window of a pool.
template <class Body>
void for_each_member(const Window& window, const Array& x, const Array& y, Body body) {
  for_each_tap(window, x.shape, [&](int n, int oh, int ow, int, int, int ih, int iw) {
    for (int c = 0; c < x.shape.c; ++c) body(x.index(n, ih, iw, c), y.index(n, oh, ow, c));
  });
}

// Where in x the largest element of each window is, the first in row order.
std::vector<size_t> largest(const Window& window, const Array& x, const Array& y) {
  constexpr auto kNone = static_cast<size_t>(-1);
  std::vector<size_t> at(y.size(), kNone);
  for_each_member(window, x, y, [&](size_t from, size_t to) {
    if (at[to] == kNone || x[from] > x[at[to]]) at[to] = from;
  });
  return at;
}

// How many elements each average is over.
std::vector<double> members(const AveragePool& layer, const Array& x, const Array& y) {
  std::vector<double> count(y.size());
  if (!layer.include_padding()) {
    for_each_member(layer.window(), x, y, [&](size_t, size_t to) { count[to] += 1; });
    return count;
  }
  // The padded image as an image; what lies behind it does not count.
  const auto [h, w] = window_axes(layer.window(), x.shape);
  const auto places = [](const WindowAxis& axis, int output) {
    int result = 0;
    for (int k = 0; k < axis.kernel; ++k) result += output * axis.stride + k < axis.low + axis.input + axis.high;
    return result;
  };
  for (size_t i = 0; i < y.size(); ++i) {
    const auto pixel = static_cast<int>(i / static_cast<size_t>(y.shape.c));
    count[i] = places(h, pixel / y.shape.w % y.shape.h) * places(w, pixel % y.shape.w);
  }
  return count;
}

Conv2d as_convolution(const Linear& layer) {
  const LinearOptions& options = layer.options();
  return Conv2d({.filters = options.units, .window = {.padding = {}}, .bias = options.bias, .relu = options.relu});
}

AveragePool as_pool(const Array& x) {
  return AveragePool({.kernel_h = x.shape.h, .kernel_w = x.shape.w, .padding = {}});
}

}  // namespace

Outputs forward(const Conv2d& layer, const Inputs& in) {
  const Array &x = in.x[0], &w = in.w[0];
  Outputs out;
  std::vector<Shape> shapes;
  for (const Array& input : in.x) shapes.push_back(input.shape);
  Array& y = out.y = Array(layer.shape(shapes));
  if (layer.options().bias) {
    for (size_t i = 0; i < y.size(); ++i) y[i] = in.w[1][i % static_cast<size_t>(y.shape.c)];
  }
  for_each_product(layer.options(), x, w, y, [&](size_t i, size_t j, size_t k) { y[k] += x[i] * w[j]; });
  if (layer.options().add) {
    for (size_t i = 0; i < y.size(); ++i) y[i] += in.x[1][i];
  }
  if (layer.options().relu) fuse_relu(out);
  return out;
}

Gradients backward(const Conv2d& layer, const Inputs& in) {
  const Array &x = in.x[0], &w = in.w[0];
  const Array dy = layer.options().relu ? behind_relu(forward(layer, in).y, in.dy) : in.dy;
  Gradients g = zero_gradients(in);
  for_each_product(layer.options(), x, w, dy, [&](size_t i, size_t j, size_t k) {
    g.dx[0][i] += w[j] * dy[k];
    g.dw[0][j] += x[i] * dy[k];
  });
  if (layer.options().bias) {
    for (size_t k = 0; k < dy.size(); ++k) g.dw[1][k % static_cast<size_t>(dy.shape.c)] += dy[k];
  }
  return g;
}

Outputs forward(const ConvTranspose& layer, const Inputs& in) {
  const Array &x = in.x[0], &w = in.w[0];
  Outputs out;
  Array& y = out.y = Array(layer.shape(std::vector{x.shape}));
  if (layer.options().bias) {
    for (size_t i = 0; i < y.size(); ++i) y[i] = in.w[1][i % static_cast<size_t>(y.shape.c)];
  }
  for_each_product(layer, x, w, y, [&](size_t i, size_t j, size_t k) { y[k] += x[i] * w[j]; });
  return out;
}

Gradients backward(const ConvTranspose& layer, const Inputs& in) {
  const Array &x = in.x[0], &w = in.w[0], &dy = in.dy;
  Gradients g = zero_gradients(in);
  for_each_product(layer, x, w, dy, [&](size_t i, size_t j, size_t k) {
    g.dx[0][i] += w[j] * dy[k];
    g.dw[0][j] += x[i] * dy[k];
  });
  if (layer.options().bias) {
    for (size_t k = 0; k < dy.size(); ++k) g.dw[1][k % static_cast<size_t>(dy.shape.c)] += dy[k];
  }
  return g;
}

Outputs forward(const Linear& layer, const Inputs& in) { return forward(as_convolution(layer), in); }
Gradients backward(const Linear& layer, const Inputs& in) { return backward(as_convolution(layer), in); }

Outputs forward(const MaxPool& layer, const Inputs& in) {
  const Array& x = in.x[0];
  Outputs out;
  out.y = Array(layer.shape(std::vector{x.shape}));
  const std::vector<size_t> at = largest(layer.window(), x, out.y);
  for (size_t i = 0; i < at.size(); ++i) out.y[i] = x[at[i]];
  return out;
}

Gradients backward(const MaxPool& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  const std::vector<size_t> at = largest(layer.window(), in.x[0], in.dy);
  for (size_t i = 0; i < at.size(); ++i) g.dx[0][at[i]] += in.dy[i];
  return g;
}

Outputs forward(const AveragePool& layer, const Inputs& in) {
  const Array& x = in.x[0];
  Outputs out;
  Array& y = out.y = Array(layer.shape(std::vector{x.shape}));
  const std::vector<double> count = members(layer, x, y);
  for_each_member(layer.window(), x, y, [&](size_t i, size_t k) { y[k] += x[i] / count[k]; });
  return out;
}

Gradients backward(const AveragePool& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  const std::vector<double> count = members(layer, in.x[0], in.dy);
  for_each_member(layer.window(), in.x[0], in.dy, [&](size_t i, size_t k) { g.dx[0][i] += in.dy[k] / count[k]; });
  return g;
}

Outputs forward(const GlobalAverage&, const Inputs& in) { return forward(as_pool(in.x[0]), in); }
Gradients backward(const GlobalAverage&, const Inputs& in) { return backward(as_pool(in.x[0]), in); }

}  // namespace convoy::reference
