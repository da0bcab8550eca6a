// multiply, softmax, stochastic_depth, and pools of whole images.
#include <algorithm>
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// Of element i of multiply's x[0], the element of x[1].
size_t factor_of(const Inputs& in, size_t i) {
  if (in.x[1].shape == in.x[0].shape) return i;
  const auto channels = static_cast<size_t>(in.x[0].shape.c);
  const size_t image = in.x[0].size() / static_cast<size_t>(in.x[0].shape.n);
  return i / image * channels + i % channels;
}

// What each row is multiplied by.
double row_scale(const StochasticDepth& layer, const Inputs& in, int row) {
  if (in.mode == Mode::kEval) return 1;
  const Random4 words =
      philox(random_key(RandomUse::kDropout, in.scalars.seed),
             dropout_counter(layer.id(), in.scalars.step, in.scalars.first_row + row, kStochasticDepthQuad));
  return words[0] >= dropout_threshold(layer.rate()) ? 1 / (1 - double{layer.rate()}) : 0;
}

Array scale_rows(const StochasticDepth& layer, const Inputs& in, Array x) {
  const size_t row_elements = x.size() / static_cast<size_t>(x.shape.n);
  for (size_t i = 0; i < x.size(); ++i) x[i] *= row_scale(layer, in, static_cast<int>(i / row_elements));
  return x;
}

// Calls body(index in x, index in y, 1 / elements of the bin) for every element of every bin.
template <class Body>
void for_each_binned(const Array& x, const Array& y, Body body) {
  const auto begin = [](int i, int of, int into) { return static_cast<int>(std::floor(double{1} * i * into / of)); };
  const auto end = [](int i, int of, int into) { return static_cast<int>(std::ceil((i + 1.0) * into / of)); };
  for (int n = 0; n < y.shape.n; ++n)
    for (int h = 0; h < y.shape.h; ++h)
      for (int w = 0; w < y.shape.w; ++w) {
        const int top = begin(h, y.shape.h, x.shape.h), bottom = end(h, y.shape.h, x.shape.h);
        const int left = begin(w, y.shape.w, x.shape.w), right = end(w, y.shape.w, x.shape.w);
        for (int row = top; row < bottom; ++row)
          for (int column = left; column < right; ++column)
            for (int c = 0; c < y.shape.c; ++c)
              body(x.index(n, row, column, c), y.index(n, h, w, c), 1.0 / ((bottom - top) * (right - left)));
      }
}

MaxPool as_pool(const Array& x) { return MaxPool({.kernel_h = x.shape.h, .kernel_w = x.shape.w, .padding = {}}); }

}  // namespace

Outputs forward(const Multiply&, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  for (size_t i = 0; i < out.y.size(); ++i) out.y[i] *= in.x[1][factor_of(in, i)];
  return out;
}

Gradients backward(const Multiply&, const Inputs& in) {
  Gradients g = zero_gradients(in);
  for (size_t i = 0; i < in.dy.size(); ++i) {
    g.dx[0][i] = in.dy[i] * in.x[1][factor_of(in, i)];
    g.dx[1][factor_of(in, i)] += in.dy[i] * in.x[0][i];
  }
  return g;
}

Outputs forward(const Softmax&, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  const auto channels = out.y.shape.c;
  for (auto row = out.y.data.begin(); row != out.y.data.end(); row += channels) {
    const double largest = *std::max_element(row, row + channels);
    double sum = 0;
    for (auto x = row; x != row + channels; ++x) sum += * x = std::exp(*x - largest);
    for (auto x = row; x != row + channels; ++x) *x /= sum;
  }
  return out;
}

Gradients backward(const Softmax& layer, const Inputs& in) {
  const Array y = forward(layer, in).y;
  Gradients g = zero_gradients(in);
  const auto channels = static_cast<size_t>(y.shape.c);
  for (size_t row = 0; row < y.size(); row += channels) {
    double sum = 0;
    for (size_t i = row; i < row + channels; ++i) sum += y[i] * in.dy[i];
    for (size_t i = row; i < row + channels; ++i) g.dx[0][i] = y[i] * (in.dy[i] - sum);
  }
  return g;
}

Outputs forward(const StochasticDepth& layer, const Inputs& in) {
  Outputs out;
  out.y = scale_rows(layer, in, in.x[0]);
  return out;
}

Gradients backward(const StochasticDepth& layer, const Inputs& in) { return {{scale_rows(layer, in, in.dy)}, {}}; }

Outputs forward(const AdaptiveAveragePool& layer, const Inputs& in) {
  Outputs out;
  out.y = Array(layer.shape(std::vector{in.x[0].shape}));
  for_each_binned(in.x[0], out.y, [&](size_t from, size_t to, double share) { out.y[to] += in.x[0][from] * share; });
  return out;
}

Gradients backward(const AdaptiveAveragePool&, const Inputs& in) {
  Gradients g = zero_gradients(in);
  for_each_binned(in.x[0], in.dy, [&](size_t to, size_t from, double share) { g.dx[0][to] += in.dy[from] * share; });
  return g;
}

Outputs forward(const GlobalMax&, const Inputs& in) { return forward(as_pool(in.x[0]), in); }
Gradients backward(const GlobalMax&, const Inputs& in) { return backward(as_pool(in.x[0]), in); }

}  // namespace convoy::reference
