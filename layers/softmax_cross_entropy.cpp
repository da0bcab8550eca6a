#include "layers/softmax_cross_entropy.h"

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

}  // namespace convoy
