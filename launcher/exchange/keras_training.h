// What Keras' training goes on from: training_config, compile_config and the weights of the optimizer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launcher/exchange/keras_weights.h"

namespace convoy {

// Nothing where the file has no optimizer, or one that Convoy has not; `model` gets its loss, optimizer_left_out and
// notes of what was left out.  `slots` are those of the configuration.  Throws Error(kBadData) naming the file where
// the configuration is none.
std::optional<ForeignTraining> read_keras_training(const KerasFile& file, const std::vector<KerasSlot>& slots,
                                                   const KerasWeights& weights, bool softmax, ForeignModel& model);

}  // namespace convoy
