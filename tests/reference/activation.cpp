#include <algorithm>
#include <cmath>
#include <numbers>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double normal_integral(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double gelu_argument(double x) { return std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x); }
double gelu_argument_slope(double x) { return std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * x * x); }

double value(const SigmoidFunction&, double x) { return sigmoid(x); }
double slope(const SigmoidFunction&, double x) { return sigmoid(x) * sigmoid(-x); }

double value(const HardSigmoidFunction&, double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); }
double slope(const HardSigmoidFunction&, double x) { return x > -3 && x < 3 ? 1.0 / 6 : 0; }

double value(const TanhFunction&, double x) { return std::tanh(x); }
double slope(const TanhFunction&, double x) { return 1 / std::pow(std::cosh(x), 2); }

double value(const SiluFunction&, double x) { return x * sigmoid(x); }
double slope(const SiluFunction&, double x) { return sigmoid(x) * (1 + x * sigmoid(-x)); }

double value(const HardSwishFunction&, double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }
double slope(const HardSwishFunction&, double x) {
  if (x <= -3) return 0;
  return x < 3 ? x / 3 + 0.5 : 1;
}

double value(const Relu6Function&, double x) { return std::clamp(x, 0.0, 6.0); }
double slope(const Relu6Function&, double x) { return x > 0 && x < 6 ? 1 : 0; }

double value(const LeakyReluFunction& f, double x) { return x > 0 ? x : double{f.negative} * x; }
double slope(const LeakyReluFunction& f, double x) { return x > 0 ? 1 : double{f.negative}; }

double value(const EluFunction& f, double x) { return x > 0 ? x : double{f.alpha} * std::expm1(x); }
double slope(const EluFunction& f, double x) { return x > 0 ? 1 : double{f.alpha} * std::exp(x); }

double value(const GeluFunction&, double x) { return x * normal_integral(x); }
double slope(const GeluFunction&, double x) { return normal_integral(x) + x * normal_density(x); }

double value(const GeluTanhFunction&, double x) { return x * sigmoid(2 * gelu_argument(x)); }
double slope(const GeluTanhFunction&, double x) {
  const double u = 2 * gelu_argument(x);
  return sigmoid(u) + x * sigmoid(u) * sigmoid(-u) * 2 * gelu_argument_slope(x);
}

}  // namespace

Outputs forward(const Activation& layer, const Inputs& in) {
  Outputs out;
  out.y = in.x[0];
  for (double& y : out.y.data) y = std::visit([&](const auto& f) { return value(f, y); }, layer.function());
  return out;
}

Gradients backward(const Activation& layer, const Inputs& in) {
  Gradients g{{in.dy}, {}};
  for (size_t i = 0; i < in.dy.size(); ++i) {
    g.dx[0][i] *= std::visit([&](const auto& f) { return slope(f, in.x[0][i]); }, layer.function());
  }
  return g;
}

}  // namespace convoy::reference
