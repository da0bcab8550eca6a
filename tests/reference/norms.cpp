// Layers that normalise each image by itself.
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// The elements of x that are normalised together.
using Members = std::vector<size_t>;

std::vector<Members> groups_of(const GroupNorm& layer, const Array& x) {
  const int groups = layer.options().groups, channels = x.shape.c / groups;
  std::vector<Members> result(static_cast<size_t>(x.shape.n) * static_cast<size_t>(groups));
  for (int n = 0; n < x.shape.n; ++n)
    for (int h = 0; h < x.shape.h; ++h)
      for (int w = 0; w < x.shape.w; ++w)
        for (int c = 0; c < x.shape.c; ++c)
          result[static_cast<size_t>(n) * static_cast<size_t>(groups) + static_cast<size_t>(c / channels)].push_back(
              x.index(n, h, w, c));
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

// Calls body(i, j) for every element i of x and every j that its sum of lrn contains.
template <class Body>
void for_each_neighbour(const Lrn& layer, const Array& x, Body body) {
  const int size = layer.options().size, channels = x.shape.c;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto c = static_cast<int>(i % static_cast<size_t>(channels));
    for (int at = 0; at < size; ++at) {
      const int other = c - size / 2 + at;
      if (other >= 0 && other < channels) body(i, i - static_cast<size_t>(c) + static_cast<size_t>(other));
    }
  }
}

// s of each element.
std::vector<double> lrn_sums(const Lrn& layer, const Array& x) {
  const auto& [size, alpha, beta, k] = layer.options();
  const double scale = double{alpha} / size;
  std::vector<double> sums(x.size(), double{k});
  for_each_neighbour(layer, x, [&](size_t i, size_t j) { sums[i] += scale * x[j] * x[j]; });
  return sums;
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

Outputs forward(const Lrn& layer, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  const std::vector<double> sums = lrn_sums(layer, in.x[0]);
  for (size_t i = 0; i < sums.size(); ++i) out.y[i] *= std::pow(sums[i], -double{layer.options().beta});
  return out;
}

Gradients backward(const Lrn& layer, const Inputs& in) {
  const Array& x = in.x[0];
  const double beta = layer.options().beta, scale = double{layer.options().alpha} / layer.options().size;
  const std::vector<double> sums = lrn_sums(layer, x);
  Gradients g = zero_gradients(in);
  for (size_t i = 0; i < sums.size(); ++i) g.dx[0][i] = in.dy[i] * std::pow(sums[i], -beta);
  for_each_neighbour(layer, x, [&](size_t i, size_t j) {
    g.dx[0][j] -= in.dy[i] * x[i] * beta * std::pow(sums[i], -beta - 1) * 2 * scale * x[j];
  });
  return g;
}

}  // namespace convoy::reference
