// The arithmetic of the fused kernels of batch_norm (layers/batch_norm_kernels_cuda.cuh), in double: it equals that of
// batch_norm, add and relu one after another, and central differences.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/reference/layers.h"

namespace convoy {
namespace {

using reference::Array;
using reference::Gradients;
using reference::Inputs;

// ---- As the kernels do it

struct Normalizer {
  double mean, scale, shift, one_over_std;
};

// y = max((x - mean) · scale + shift + added, 0), the statistics from sums less the first sample of the channel.
struct Fused {
  bool add, relu;
  std::vector<Normalizer> normalizers;
  Array y;
  std::vector<bool> mask;  // what forward leaves behind an add
};

Normalizer normalizer(const BatchNorm& layer, const Inputs& in, size_t c, size_t channels) {
  const Array& x = in.x[0];
  const size_t rows = x.size() / channels;
  const auto n = static_cast<double>(rows);
  double sum = 0, squares = 0;
  for (size_t i = c; i < x.size(); i += channels) {
    const double d = x[i] - x[c];
    sum += d;
    squares += d * d;
  }
  const double variance = (squares - sum * sum / n) / n;
  const double one_over_std = 1 / std::sqrt(variance + double{layer.options().epsilon});
  return {x[c] + sum / n, in.w[0][c] * one_over_std, in.w[1][c], one_over_std};
}

Fused fused_forward(const BatchNorm& layer, const Inputs& in) {
  const Array& x = in.x[0];
  const auto channels = static_cast<size_t>(x.shape.c);
  Fused fused{layer.options().add, layer.options().relu, {}, Array(x.shape), {}};
  for (size_t c = 0; c < channels; ++c) fused.normalizers.push_back(normalizer(layer, in, c, channels));
  for (size_t i = 0; i < x.size(); ++i) {
    const Normalizer& by = fused.normalizers[i % channels];
    double value = (x[i] - by.mean) * by.scale + by.shift;
    if (fused.add) value += in.x[1][i];
    fused.mask.push_back(value > 0);
    fused.y[i] = fused.relu && value <= 0 ? 0 : value;
  }
  return fused;
}

// dy behind the relu: by x once more, or, behind an add, by the mask.
double behind_relu(const Fused& fused, const Inputs& in, size_t i) {
  const Normalizer& by = fused.normalizers[i % fused.normalizers.size()];
  if (!fused.relu) return in.dy[i];
  const bool open = fused.add ? fused.mask[i] : (in.x[0][i] - by.mean) * by.scale + by.shift > 0;
  return open ? in.dy[i] : 0;
}

Gradients fused_backward(const BatchNorm& layer, const Inputs& in) {
  const Fused fused = fused_forward(layer, in);
  const Array& x = in.x[0];
  const size_t channels = fused.normalizers.size();
  const size_t rows = x.size() / channels;
  const auto n = static_cast<double>(rows);
  Gradients g = reference::zero_gradients(in);
  for (size_t c = 0; c < channels; ++c) {
    const Normalizer& by = fused.normalizers[c];
    double sum = 0, product = 0;
    for (size_t i = c; i < x.size(); i += channels) {
      const double dy = behind_relu(fused, in, i);
      if (fused.add) g.dx[1][i] = dy;
      sum += dy;
      product += dy * (x[i] - by.mean);
    }
    const double dweight = product * by.one_over_std;
    const double a = -by.scale * dweight * by.one_over_std / n, b = -by.scale * sum / n;
    g.dw[0][c] = dweight;
    g.dw[1][c] = sum;
    for (size_t i = c; i < x.size(); i += channels) {
      g.dx[0][i] = behind_relu(fused, in, i) * by.scale + (x[i] - by.mean) * a + b;
    }
  }
  return g;
}

// ---- One layer after another

struct Unfused {
  Array y;
  Gradients gradients;
};

Unfused unfused(const BatchNorm& layer, const Inputs& in) {
  const BatchNorm plain(BatchNormOptions{.epsilon = layer.options().epsilon});
  Inputs norm = in, add, relu;
  norm.x.resize(1);
  Array y = reference::forward(plain, norm).y;
  if (layer.options().add) {
    add.x = {y, in.x[1]};
    y = reference::forward(Add(), add).y;
  }
  if (layer.options().relu) {
    relu.x = {y};
    y = reference::forward(Relu(), relu).y;
  }
  Array dy = in.dy;
  if (layer.options().relu) {
    relu.dy = dy;
    dy = reference::backward(Relu(), relu).dx[0];
  }
  std::vector<Array> terms{dy};
  if (layer.options().add) {
    add.dy = dy;
    terms = reference::backward(Add(), add).dx;
  }
  norm.dy = terms[0];
  Gradients gradients = reference::backward(plain, norm);
  if (layer.options().add) gradients.dx.push_back(terms[1]);
  return {y, gradients};
}

// ---- Tests

Array normal(const Shape& shape, double mean, double deviation, std::mt19937_64& random) {
  std::normal_distribution<double> draw(mean, deviation);
  Array result(shape);
  for (double& value : result.data) value = draw(random);
  return result;
}

Inputs draw(const BatchNorm& layer, std::mt19937_64& random) {
  const auto size = [&](int most) { return 1 + static_cast<int>(random() % static_cast<uint64_t>(most)); };
  const Shape shape{1 + size(4), size(5), size(5), size(9)}, channels{1, 1, 1, shape.c};
  Inputs in;
  in.x = {normal(shape, 2, 1.5, random)};
  if (layer.options().add) in.x.push_back(normal(shape, 0, 1, random));
  in.w = {normal(channels, 0, 1, random), normal(channels, 0, 1, random)};
  in.dy = normal(shape, 0, 1, random);
  return in;
}

void expect_near(const std::string& name, const Array& found, const Array& wanted) {
  ASSERT_EQ(found.size(), wanted.size()) << name;
  double largest = 1;
  for (double value : wanted.data) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-12 * largest) << name << " " << i;
}

double objective(const BatchNorm& layer, const Inputs& in) {
  const Array y = fused_forward(layer, in).y;
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * in.dy[i];
  return sum;
}

// Elements whose neighbours lie on the other side of a kink are left out.
void expect_central_differences(const BatchNorm& layer, Inputs& in, Array& variable, const Array& gradient) {
  constexpr double kStep = 1e-5;
  size_t compared = 0;
  for (size_t i = 0; i < variable.size(); ++i) {
    const double at = variable[i];
    variable[i] = at + kStep;
    const double above = objective(layer, in);
    const std::vector<bool> mask = fused_forward(layer, in).mask;
    variable[i] = at - kStep;
    const double below = objective(layer, in);
    const bool crosses = layer.options().relu && fused_forward(layer, in).mask != mask;
    variable[i] = at;
    if (crosses) continue;
    ++compared;
    EXPECT_NEAR((above - below) / (2 * kStep), gradient[i], 1e-6 * std::max(1.0, std::abs(gradient[i]))) << i;
  }
  EXPECT_GE(2 * compared, variable.size());
}

struct Fusion {
  const char* name;
  bool add, relu;
};
void PrintTo(const Fusion& fusion, std::ostream* out) { *out << fusion.name; }

class FusedBatchNorm : public testing::TestWithParam<Fusion> {
 protected:
  const BatchNorm layer_{BatchNormOptions{.add = GetParam().add, .relu = GetParam().relu}};
};

TEST_P(FusedBatchNorm, EqualsItsLayersOneByOne) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    const Inputs in = draw(layer_, random);
    SCOPED_TRACE(to_string(in.x[0].shape));
    const Unfused wanted = unfused(layer_, in);
    const Gradients found = fused_backward(layer_, in);
    expect_near("y", fused_forward(layer_, in).y, wanted.y);
    for (size_t i = 0; i < found.dx.size(); ++i) expect_near("dx", found.dx[i], wanted.gradients.dx[i]);
    for (size_t i = 0; i < found.dw.size(); ++i) expect_near("dw", found.dw[i], wanted.gradients.dw[i]);
  }
}

TEST_P(FusedBatchNorm, EqualsCentralDifferences) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 5; ++round) {
    Inputs in = draw(layer_, random);
    SCOPED_TRACE(to_string(in.x[0].shape));
    const Gradients gradients = fused_backward(layer_, in);
    for (size_t i = 0; i < in.x.size(); ++i) expect_central_differences(layer_, in, in.x[i], gradients.dx[i]);
    for (size_t i = 0; i < in.w.size(); ++i) expect_central_differences(layer_, in, in.w[i], gradients.dw[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Fusions, FusedBatchNorm,
                         testing::Values(Fusion{"batch_norm", false, false}, Fusion{"batch_norm_add", true, false},
                                         Fusion{"batch_norm_relu", false, true},
                                         Fusion{"batch_norm_add_relu", true, true}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace convoy
