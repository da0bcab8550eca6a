#include "layers/group_norm.h"

#include "layers/checks.h"

namespace convoy {
namespace {

void expect_epsilon(float epsilon) {
  if (epsilon > 0) return;
  throw Error(ExitCode::kConfig, "epsilon: expected more than 0, found " + std::to_string(epsilon));
}

std::vector<ParameterSpec> weight_and_bias(int channels) {
  const Shape shape{1, 1, 1, channels};
  return {{"weight", shape, {Initializer::Kind::kConstant, 1}}, {"bias", shape, {}}};
}

}  // namespace

Shape GroupNorm::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_at_least(options_.groups, 1, "groups");
  expect_epsilon(options_.epsilon);
  if (inputs[0].c % options_.groups != 0) {
    throw Error(ExitCode::kConfig, "groups: expected a divisor of " + std::to_string(inputs[0].c) +
                                       " channels, found " + std::to_string(options_.groups));
  }
  return inputs[0];
}

std::vector<ParameterSpec> GroupNorm::parameters(std::span<const Shape> inputs) const {
  return weight_and_bias(inputs[0].c);
}

Shape LayerNorm::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 1);
  expect_epsilon(epsilon_);
  return inputs[0];
}

std::vector<ParameterSpec> LayerNorm::parameters(std::span<const Shape> inputs) const {
  return weight_and_bias(inputs[0].c);
}

}  // namespace convoy
