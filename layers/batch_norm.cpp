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

std::vector<BackwardPart> batch_norm_backward_parts(const BatchNormOptions& options, const CompileRequest& request) {
  BackwardPart part{"backward", {}, request.wants_dw && (options.scale || options.shift)};
  const bool of_x = request.wants_dx[0], of_added = options.add && options.relu && request.wants_dx[1];
  if (of_x && request.ranks > 1 && !options.inference) {
    part.name = "backward_sums";
    if (of_added) part.dx = {1};
    return {part, {"backward_data", {0}, false}};
  }
  if (of_x) part.dx.push_back(0);
  if (of_added) part.dx.push_back(1);
  if (!part.dw && part.dx.empty()) return {};
  return {part};
}

}  // namespace convoy
