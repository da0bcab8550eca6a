// The gradients of the reference equal central differences of its forward pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/cases/case_data.h"

namespace convoy {
namespace {

using reference::Array;
using reference::Inputs;

// The scalar whose gradient `backward` is: y · dy; for a loss, what the trainer minimises.
double objective(const Layer& layer, const Inputs& in) {
  const reference::Outputs out = reference::forward(layer, in);
  if (layer.is_loss()) {
    return out.control[kLossSum] * double{in.loss_scale} * double{in.scalars.one_over_global_rows};
  }
  double sum = 0;
  for (size_t i = 0; i < out.y.size(); ++i) sum += out.y[i] * in.dy[i];
  return sum;
}

// The largest difference at up to 12 elements of `variable` (which lies in `in`), relative to the largest gradient.
double worst_difference(const Layer& layer, Inputs& in, Array& variable, const Array& gradient, double step) {
  std::mt19937_64 random(3);
  double worst = 0, largest = 1e-6;
  for (double value : gradient.data) largest = std::max(largest, std::abs(value));
  for (int sample = 0; sample < 12; ++sample) {
    const size_t i = random() % variable.size();
    const double at = variable[i];
    variable[i] = at + step;
    const double above = objective(layer, in);
    variable[i] = at - step;
    const double below = objective(layer, in);
    variable[i] = at;
    worst = std::max(worst, std::abs((above - below) / (2 * step) - gradient[i]));
  }
  return worst / largest;
}

class ReferenceGradient : public testing::TestWithParam<LayerCase> {};

TEST_P(ReferenceGradient, EqualsCentralDifferences) {
  const LayerCase& it = GetParam();
  const std::unique_ptr<Layer> layer = it.layer();
  Inputs in = inputs_off_kinks(it, Dtype::kF32);
  const reference::Gradients gradients = reference::backward(*layer, in);
  for (size_t i = 0; i < in.x.size(); ++i) {
    if (!wants_dx(it, i)) continue;
    EXPECT_LE(worst_difference(*layer, in, in.x[i], gradients.dx[i], 1e-5 * it.std), 1e-6) << "dx[" << i << "]";
  }
  for (size_t i = 0; i < in.w.size(); ++i) {
    EXPECT_LE(worst_difference(*layer, in, in.w[i], gradients.dw[i], 1e-5), 1e-6) << "dw[" << i << "]";
  }
}

std::vector<LayerCase> differentiable_cases() {
  std::vector<LayerCase> cases;
  for (const LayerCase& it : layer_cases()) {
    if (!it.benchmark && it.mode == Mode::kTrain && input_dtype(it, 0, Dtype::kF32) == Dtype::kF32) cases.push_back(it);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, ReferenceGradient, testing::ValuesIn(differentiable_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace

void PrintTo(const LayerCase& it, std::ostream* out) { *out << it.name; }

}  // namespace convoy
