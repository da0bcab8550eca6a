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

bool of_batch(const BatchNorm& layer, const Inputs& in) {
  return in.mode == Mode::kTrain && !layer.options().inference;
}
// Parameters come in the order weight, bias, of which either may be missing.
double weight(const BatchNorm& layer, const Inputs& in, size_t c) {
  return layer.options().scale ? in.w.front()[c] : 1;
}
double bias(const BatchNorm& layer, const Inputs& in, size_t c) { return layer.options().shift ? in.w.back()[c] : 0; }

Channel statistics(const BatchNorm& layer, const Inputs& in, size_t c) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  const double n = samples_of_a_channel(x);
  Channel result{};
  if (!of_batch(layer, in)) {
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
      out.y[i] = weight(layer, in, c) * (x[i] - s.mean) * s.one_over_std + bias(layer, in, c);
      if (layer.options().add) out.y[i] += in.x[1][i];
    }
    if (!of_batch(layer, in)) continue;
    out.batch_state[0][c] = s.mean;
    const double all = n * in.ranks;
    out.batch_state[1][c] = all > 1 ? s.variance * all / (all - 1) : s.variance;
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
    double dweight = 0, dbias = 0;
    for (size_t i = c; i < x.size(); i += channels) {
      dweight += dy[i] * normalized(i);
      dbias += dy[i];
    }
    for (size_t i = c; i < x.size(); i += channels) {
      const double through_statistics = of_batch(layer, in) ? (dbias + normalized(i) * dweight) / n : 0;
      g.dx[0][i] = weight(layer, in, c) * s.one_over_std * (dy[i] - through_statistics);
    }
    if (layer.options().scale) g.dw.front()[c] = dweight;
    if (layer.options().shift) g.dw.back()[c] = dbias;
  }
  return g;
}

}  // namespace convoy::reference
