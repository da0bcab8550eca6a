#include "layers/batch_norm.h"

#include "layers/checks.h"

namespace convoy {

Shape BatchNorm::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, options_.add ? 2 : 1);
  if (!(options_.epsilon > 0)) {
    throw Error(ExitCode::kConfig, "epsilon: expected more than 0, found " + std::to_string(options_.epsilon));
  }
  if (!(options_.momentum > 0 && options_.momentum <= 1)) {
    throw Error(ExitCode::kConfig, "momentum: expected more than 0 and at most 1, found " +
                                       std::to_string(options_.momentum) + " (inference: true keeps the statistics)");
  }
  if (inputs.back() != inputs[0]) {
    throw Error(ExitCode::kConfig,
                "expected inputs of one shape, found " + to_string(inputs[0]) + " and " + to_string(inputs.back()));
  }
  return inputs[0];
}

std::vector<ParameterSpec> BatchNorm::parameters(std::span<const Shape> inputs) const {
  const Shape channels{1, 1, 1, inputs[0].c};
  std::vector<ParameterSpec> result;
  if (options_.scale) result.push_back({"weight", channels, {Initializer::Kind::kConstant, 1}});
  if (options_.shift) result.push_back({"bias", channels, {}});
  return result;
}

std::vector<StateSpec> BatchNorm::state(std::span<const Shape> inputs) const {
  const Shape channels{1, 1, 1, inputs[0].c};
  const float momentum = options_.inference ? 0 : options_.momentum;
  return {{"running_mean", channels, 0, momentum}, {"running_variance", channels, 1, momentum}};
}

BatchNormParameters batch_norm_parameters(const BatchNormOptions& options, const std::vector<Tensor>& tensors) {
  BatchNormParameters result;
  if (options.scale) result.weight = tensors.front().as<float>();
  if (options.shift) result.bias = tensors.back().as<float>();
  return result;
}

}  // namespace convoy
