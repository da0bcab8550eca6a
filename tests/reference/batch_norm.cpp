#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// One channel: of x, the elements c, c + C, c + 2C, …
struct Channel {
  double mean, variance, one_over_std;  // variance is the biased one
};

double samples_of_a_channel(const Array& x) {
  const size_t samples = x.size() / static_cast<size_t>(x.shape.c);
  return static_cast<double>(samples);
}

Channel statistics(const BatchNorm& layer, const Inputs& in, size_t c) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  const double n = samples_of_a_channel(x);
  Channel result{};
  if (in.mode == Mode::kEval) {
    result = {in.state[0][c], in.state[1][c], 0};
  } else {
    for (size_t i = c; i < x.size(); i += channels) result.mean += x[i] / n;
    for (size_t i = c; i < x.size(); i += channels) result.variance += std::pow(x[i] - result.mean, 2) / n;
  }
  result.one_over_std = 1 / std::sqrt(result.variance + double{layer.options().epsilon});
  return result;
}

}  // namespace

Outputs forward(const BatchNorm& layer, const Inputs& in) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  const double n = samples_of_a_channel(x);
  Outputs out;
  out.y = Array(x.shape);
  out.batch_state.assign(2, Array({1, 1, 1, x.shape.c}));
  for (size_t c = 0; c < channels; ++c) {
    const Channel s = statistics(layer, in, c);
    for (size_t i = c; i < x.size(); i += channels) {
      out.y[i] = in.w[0][c] * (x[i] - s.mean) * s.one_over_std + in.w[1][c];
      if (layer.options().add) out.y[i] += in.x[1][i];
    }
    if (in.mode == Mode::kEval) continue;
    out.batch_state[0][c] = s.mean;
    out.batch_state[1][c] = n > 1 ? s.variance * n / (n - 1) : s.variance;
  }
  if (layer.options().relu) fuse_relu(out);
  return out;
}

Gradients backward(const BatchNorm& layer, const Inputs& in) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  const double n = samples_of_a_channel(x);
  const Array dy = layer.options().relu ? behind_relu(forward(layer, in).y, in.dy) : in.dy;
  Gradients g = zero_gradients(in);
  if (layer.options().add) g.dx[1] = dy;
  for (size_t c = 0; c < channels; ++c) {
    const Channel s = statistics(layer, in, c);
    const auto normalized = [&](size_t i) { return (x[i] - s.mean) * s.one_over_std; };
    double &dweight = g.dw[0][c], &dbias = g.dw[1][c];
    for (size_t i = c; i < x.size(); i += channels) {
      dweight += dy[i] * normalized(i);
      dbias += dy[i];
    }
    for (size_t i = c; i < x.size(); i += channels) {
      g.dx[0][i] = in.w[0][c] * s.one_over_std * (dy[i] - (dbias + normalized(i) * dweight) / n);
    }
  }
  return g;
}

}  // namespace convoy::reference
