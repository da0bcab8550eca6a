// Layers that normalise each image by itself.
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// The elements of x that are normalised together.
using Members = std::vector<size_t>;

std::vector<Members> groups_of(const GroupNorm& layer, const Array& x) {
  const int groups = layer.options().groups, channels = x.shape.c / groups;
  std::vector<Members> result(static_cast<size_t>(x.shape.n * groups));
  for (int n = 0; n < x.shape.n; ++n)
    for (int h = 0; h < x.shape.h; ++h)
      for (int w = 0; w < x.shape.w; ++w)
        for (int c = 0; c < x.shape.c; ++c)
          result[static_cast<size_t>(n * groups + c / channels)].push_back(x.index(n, h, w, c));
  return result;
}

std::vector<Members> groups_of(const LayerNorm&, const Array& x) {
  const auto channels = static_cast<size_t>(x.shape.c);
  std::vector<Members> result(x.size() / channels);
  for (size_t i = 0; i < x.size(); ++i) result[i / channels].push_back(i);
  return result;
}

struct Moments {
  double mean, one_over_std;
};
Moments moments(const Array& x, const Members& members, double epsilon) {
  const auto count = static_cast<double>(members.size());
  double mean = 0, variance = 0;
  for (size_t i : members) mean += x[i] / count;
  for (size_t i : members) variance += std::pow(x[i] - mean, 2) / count;
  return {mean, 1 / std::sqrt(variance + epsilon)};
}

Outputs normalize(const std::vector<Members>& groups, double epsilon, const Inputs& in) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  Outputs out;
  out.y = Array(x.shape);
  for (const Members& members : groups) {
    const auto [mean, one_over_std] = moments(x, members, epsilon);
    for (size_t i : members) out.y[i] = in.w[0][i % channels] * (x[i] - mean) * one_over_std + in.w[1][i % channels];
  }
  return out;
}

Gradients gradients(const std::vector<Members>& groups, double epsilon, const Inputs& in) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  Gradients g = zero_gradients(in);
  for (const Members& members : groups) {
    const auto [mean, one_over_std] = moments(x, members, epsilon);
    const auto count = static_cast<double>(members.size());
    double sum = 0, product = 0;
    for (size_t i : members) {
      const double normalized = (x[i] - mean) * one_over_std, scaled = in.dy[i] * in.w[0][i % channels];
      g.dw[0][i % channels] += in.dy[i] * normalized;
      g.dw[1][i % channels] += in.dy[i];
      sum += scaled;
      product += scaled * normalized;
    }
    for (size_t i : members) {
      const double normalized = (x[i] - mean) * one_over_std;
      g.dx[0][i] = one_over_std * (in.dy[i] * in.w[0][i % channels] - (sum + normalized * product) / count);
    }
  }
  return g;
}

}  // namespace

Outputs forward(const GroupNorm& layer, const Inputs& in) {
  return normalize(groups_of(layer, in.x[0]), layer.options().epsilon, in);
}
Gradients backward(const GroupNorm& layer, const Inputs& in) {
  return gradients(groups_of(layer, in.x[0]), layer.options().epsilon, in);
}

Outputs forward(const LayerNorm& layer, const Inputs& in) {
  return normalize(groups_of(layer, in.x[0]), layer.epsilon(), in);
}
Gradients backward(const LayerNorm& layer, const Inputs& in) {
  return gradients(groups_of(layer, in.x[0]), layer.epsilon(), in);
}

}  // namespace convoy::reference
