#include "layers/conv2d.h"

#include <algorithm>
#include <cmath>

#include "layers/checks.h"

namespace convoy {

WeightInitializer weight_initializer(const std::string& name) {
  const auto found = std::ranges::find(kWeightInitializers, name);
  if (found != kWeightInitializers.end()) {
    return static_cast<WeightInitializer>(found - kWeightInitializers.begin());
  }
  std::string known;
  for (std::string_view initializer : kWeightInitializers) known += " " + std::string(initializer);
  throw Error(ExitCode::kConfig, "initializer: expected one of" + known + ", found '" + name + "'");
}

Initializer weight_start(WeightInitializer kind, int64_t fan_in, int64_t fan_out) {
  const auto in = static_cast<double>(fan_in), out = static_cast<double>(fan_out);
  const auto normal = [](double deviation) {
    return Initializer{Initializer::Kind::kNormal, static_cast<float>(deviation)};
  };
  const auto uniform = [](double limit) { return Initializer{Initializer::Kind::kUniform, static_cast<float>(limit)}; };
  switch (kind) {
    case WeightInitializer::kKaimingNormal: return normal(std::sqrt(2.0 / out));
    case WeightInitializer::kKaimingNormalFanIn: return normal(std::sqrt(2.0 / in));
    case WeightInitializer::kKaimingUniform: return uniform(std::sqrt(6.0 / in));
    case WeightInitializer::kGlorotUniform: return uniform(std::sqrt(6.0 / (in + out)));
    case WeightInitializer::kNormal: return normal(0.01);
    case WeightInitializer::kUniformFanOut: return uniform(1.0 / std::sqrt(out));
    case WeightInitializer::kPytorch:
    case WeightInitializer::kUniformFanIn: break;
  }
  return uniform(1.0 / std::sqrt(in));
}

Initializer bias_start(WeightInitializer kind, int64_t fan_in) {
  if (kind != WeightInitializer::kPytorch) return {};
  return weight_start(kind, fan_in, 1);
}

Shape Conv2d::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, options_.add ? 2 : 1);
  expect_at_least(options_.filters, 1, "filters");
  expect_at_least(options_.groups, 1, "groups");
  const Shape& x = inputs[0];
  if (x.c % options_.groups != 0 || options_.filters % options_.groups != 0) {
    throw Error(ExitCode::kConfig, "groups: expected a divisor of " + std::to_string(x.c) + " input channels and " +
                                       std::to_string(options_.filters) + " filters, found " +
                                       std::to_string(options_.groups));
  }
  const WindowAxes axes = window_axes(options_.window, x);
  const Shape y{x.n, axes.h.output, axes.w.output, options_.filters};
  if (options_.add && inputs[1] != y) {
    throw Error(ExitCode::kConfig, "expected " + to_string(y) + " to add, found " + to_string(inputs[1]));
  }
  return y;
}

std::vector<ParameterSpec> Conv2d::parameters(std::span<const Shape> inputs) const {
  const Shape weight{options_.filters, options_.window.kernel_h, options_.window.kernel_w,
                     inputs[0].c / options_.groups};
  const int64_t area = int64_t{weight.h} * weight.w;
  const int64_t fan_in = area * weight.c;
  std::vector<ParameterSpec> specs{
      {"weight", weight, weight_start(options_.initializer, fan_in, area * options_.filters)}};
  if (options_.bias) {
    specs.push_back({"bias", {1, 1, 1, options_.filters}, bias_start(options_.initializer, fan_in)});
  }
  return specs;
}

int64_t Conv2d::forward_flops(std::span<const Shape> inputs) const {
  return 2 * shape(inputs).elements() * options_.window.kernel_h * options_.window.kernel_w *
         (inputs[0].c / options_.groups);
}

}  // namespace convoy
