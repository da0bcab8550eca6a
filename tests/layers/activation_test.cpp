// The functions of activations, over all of f32.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/cases/case_parts.h"
#include "tests/reference/layers.h"

namespace convoy {
namespace {

using reference::Array;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<ActivationFunction> all_functions() {
  std::vector<ActivationFunction> result;
  for (const LayerCase& it : activation_cases()) {
    if (it.name.ends_with("_odd")) result.push_back(dynamic_cast<const Activation&>(*it.layer()).function());
  }
  return result;
}

// Both signs, magnitudes from 2^-100 to 100, each power of two cut into 4096.
std::vector<float> sweep() {
  std::vector<float> result = {0};
  for (float x = 0x1p-100F; x < 100; x = std::bit_cast<float>(std::bit_cast<uint32_t>(x) + 2048U)) {
    result.push_back(x);
    result.push_back(-x);
  }
  return result;
}

reference::Inputs inputs(const std::vector<float>& x) {
  reference::Inputs in;
  const Shape shape{1, 1, 1, static_cast<int>(x.size())};
  in.x.emplace_back(shape);
  in.dy = Array(shape);
  for (size_t i = 0; i < x.size(); ++i) in.x[0][i] = x[i], in.dy[i] = 1;
  return in;
}

template <class F>
float slope_of_input(const F& function, float x) {
  return slope_at<false>(function, F::kSlopeFrom == SlopeFrom::kOutput ? function.value(x) : x);
}

// The largest difference beyond `absolute`, relative to what is wanted.
template <class Function>
double worst_error(const std::vector<float>& x, const Array& wanted, double absolute, const Function& function) {
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = std::max(std::abs(double{function(x[i])} - wanted[i]) - absolute, 0.0);
    worst = std::max(worst, error / std::max(std::abs(wanted[i]), 1e-300));
    if (!(error >= 0)) return kInfinity;
  }
  return worst;
}

TEST(ActivationFunctions, AreAsExactAsF32) {
  const std::vector<float> x = sweep();
  const reference::Inputs in = inputs(x);
  for (const ActivationFunction& any : all_functions()) {
    const Activation layer(any);
    SCOPED_TRACE(layer.type());
    const Array y = reference::forward(layer, in).y, slopes = reference::backward(layer, in).dx[0];
    std::visit(
        [&](const auto& function) {
          const double value = worst_error(x, y, 1e-10, [&](float at) { return function.value(at); });
          EXPECT_LE(value, 1e-6);
          // Slopes have zeros inside the range, and what is left of a 1 is no more exact than that 1.
          const double slope = worst_error(x, slopes, 2e-7, [&](float at) { return slope_of_input(function, at); });
          EXPECT_LE(slope, 1e-6);
        },
        any);
  }
}

TEST(ActivationFunctions, FarAwayAndNaN) {
  const std::vector<float> x = {1e5F, 1e15F, 1e30F, std::numeric_limits<float>::max(), -1e5F, -1e15F, -1e30F};
  for (const ActivationFunction& any : all_functions()) {
    SCOPED_TRACE(Activation(any).type());
    std::visit(
        [&](const auto& function) {
          const reference::Inputs in = inputs(x);
          const Array y = reference::forward(Activation(any), in).y;
          EXPECT_LE(worst_error(x, y, 0, [&](float at) { return function.value(at); }), 1e-6);
          for (float at : x) EXPECT_TRUE(std::isfinite(slope_of_input(function, at))) << at;
          EXPECT_TRUE(std::isnan(function.value(std::nanf(""))));
          EXPECT_TRUE(std::isfinite(function.value(kInfinity)) || function.value(kInfinity) == kInfinity);
        },
        any);
  }
}

TEST(ActivationFunctions, GiveTheSameBitsAtEverySimdLevel) {
  const std::vector<float> x = sweep();
  for (const ActivationFunction& any : all_functions()) {
    SCOPED_TRACE(Activation(any).type());
    std::visit(
        [&](const auto& function) {
          const auto results = [&](SimdLevel level) {
            std::vector<float> y(2 * x.size());
            const auto count = static_cast<int64_t>(x.size());
            simd(
                [&, to = y.data(), from = x.data()]() CONVOY_INLINE {
#pragma omp simd
                  for (int64_t i = 0; i < count; ++i) to[i] = function.value(from[i]);
#pragma omp simd
                  for (int64_t i = 0; i < count; ++i) to[count + i] = function.slope(from[i]);
                },
                level);
            return y;
          };
          const std::vector<float> baseline = results(SimdLevel::kBaseline);
          for (SimdLevel level : {SimdLevel::kAvx2, SimdLevel::kAvx512}) {
            if (level > simd_level()) continue;
            EXPECT_TRUE(results(level) == baseline) << to_string(level);
          }
        },
        any);
  }
}

}  // namespace
}  // namespace convoy
