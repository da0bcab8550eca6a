// The shape and the number of images, found without reading them.
#pragma once

#include "core/device/types.h"
#include "launcher/config/experiment.h"

namespace convoy {

// n = 1.  Of idx files only the header is read; whether the rest is whole shows when they are opened to train.
// Throws Error: kNoInput for a missing file, kBadData for one that is not IDX images.
Shape sample_shape(const DataConfig& data);

// How many samples there are to train on; fails likewise.
int64_t training_samples(const DataConfig& data);

}  // namespace convoy
