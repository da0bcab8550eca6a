#include "layers/softmax_cross_entropy.h"

#include "layers/checks.h"

namespace convoy {

Shape SoftmaxCrossEntropy::shape(std::span<const Shape> inputs) const {
  if (inputs.size() != 3) return Loss::shape(inputs);
  const Shape logits = Loss::shape(inputs.first(2)), wanted{1, 1, 1, logits.c};
  if (inputs[2] != wanted) {
    throw Error(ExitCode::kConfig,
                "expected class weights of shape " + to_string(wanted) + ", found " + to_string(inputs[2]));
  }
  return logits;
}

Shape Distillation::shape(std::span<const Shape> inputs) const {
  expect_inputs(inputs, 3);
  const Shape logits = Loss::shape(inputs.first(2));
  if (inputs[2] != logits) {
    throw Error(ExitCode::kConfig,
                "expected a teacher's logits of shape " + to_string(logits) + ", found " + to_string(inputs[2]));
  }
  if (!(weight_ >= 0 && weight_ <= 1)) {
    throw Error(ExitCode::kConfig, "weight: expected a number in [0, 1], found " + std::to_string(weight_));
  }
  if (!(temperature_ > 0)) {
    throw Error(ExitCode::kConfig, "temperature: expected a number above 0, found " + std::to_string(temperature_));
  }
  return logits;
}

}  // namespace convoy
