// Layers that treat each element by itself, or only move elements.
#include <algorithm>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// What each element is multiplied by.
std::vector<double> dropout_scale(const Dropout& layer, const Inputs& in) {
  std::vector<double> scale(in.x[0].size(), 1.0);
  if (in.mode == Mode::kEval) return scale;
  const uint64_t key = random_key(RandomUse::kDropout, in.scalars.seed);
  const int64_t row_elements = static_cast<int64_t>(scale.size()) / in.x[0].shape.n;
  for (size_t i = 0; i < scale.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / row_elements, element = static_cast<int64_t>(i) % row_elements;
    const Random4 words =
        philox(key, dropout_counter(layer.id(), in.scalars.step, in.scalars.first_row + row, element / 4));
    const bool kept = words[static_cast<size_t>(element % 4)] >= dropout_threshold(layer.rate());
    scale[i] = kept ? 1 / (1 - double{layer.rate()}) : 0;
  }
  return scale;
}

// Calls body(index in x[input], index in y) for every element that concat moves.
template <class Body>
void for_each_move(const std::vector<Array>& x, const Array& y, Body body) {
  int first = 0;
  for (size_t input = 0; input < x.size(); ++input) {
    const auto channels = static_cast<size_t>(x[input].shape.c);
    for (size_t i = 0; i < x[input].size(); ++i) {
      body(input, i, i / channels * static_cast<size_t>(y.shape.c) + static_cast<size_t>(first) + i % channels);
    }
    first += x[input].shape.c;
  }
}

std::vector<Shape> shapes(const std::vector<Array>& x) {
  std::vector<Shape> result;
  for (const Array& array : x) result.push_back(array.shape);
  return result;
}

}  // namespace

Outputs forward(const Relu&, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  for (double& y : out.y.data) y = std::max(y, 0.0);
  return out;
}

Gradients backward(const Relu&, const Inputs& in) { return {{behind_relu(in.x[0], in.dy)}, {}}; }

Outputs forward(const Dropout& layer, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  const std::vector<double> scale = dropout_scale(layer, in);
  for (size_t i = 0; i < scale.size(); ++i) out.y[i] *= scale[i];
  return out;
}

Gradients backward(const Dropout& layer, const Inputs& in) {
  Gradients g{{in.dy}, {}};
  const std::vector<double> scale = dropout_scale(layer, in);
  for (size_t i = 0; i < scale.size(); ++i) g.dx[0][i] *= scale[i];
  return g;
}

Outputs forward(const Flatten& layer, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  out.y.shape = layer.shape(shapes(in.x));
  return out;
}

Gradients backward(const Flatten&, const Inputs& in) {
  Gradients g{{in.dy}, {}};
  g.dx[0].shape = in.x[0].shape;
  return g;
}

Outputs forward(const Add&, const Inputs& in) {
  Outputs out;
  out.y = Array(in.x[0].shape);
  for (const Array& x : in.x) {
    for (size_t i = 0; i < x.size(); ++i) out.y[i] += x[i];
  }
  return out;
}

Gradients backward(const Add&, const Inputs& in) { return {std::vector<Array>(in.x.size(), in.dy), {}}; }

Outputs forward(const Concat& layer, const Inputs& in) {
  Outputs out;
  out.y = Array(layer.shape(shapes(in.x)));
  for_each_move(in.x, out.y, [&](size_t input, size_t from, size_t to) { out.y[to] = in.x[input][from]; });
  return out;
}

Gradients backward(const Concat&, const Inputs& in) {
  Gradients g = zero_gradients(in);
  for_each_move(in.x, in.dy, [&](size_t input, size_t from, size_t to) { g.dx[input][from] = in.dy[to]; });
  return g;
}

Outputs forward(const Normalize& layer, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  for (size_t i = 0; i < out.y.size(); ++i) {
    const auto c = static_cast<int>(i % static_cast<size_t>(out.y.shape.c));
    const double pixel = in.x[0][layer.bgr() ? i + 2 - 2 * static_cast<size_t>(c) : i];
    out.y[i] = (pixel / 255 - double{layer.mean(c)}) / double{layer.std(c)};
  }
  return out;
}

Gradients backward(const Normalize&, const Inputs& in) { return zero_gradients(in); }

}  // namespace convoy::reference
