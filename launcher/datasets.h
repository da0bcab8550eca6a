// The samples that an experiment trains on and is evaluated on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/data/augment.h"
#include "core/data/dataset.h"
#include "core/data/mix.h"
#include "launcher/bad_samples.h"
#include "launcher/config/experiment.h"

namespace convoy {

struct Datasets {
  std::unique_ptr<Dataset> train;
  std::unique_ptr<Dataset> test;                       // null: there is none
  std::vector<std::unique_ptr<Dataset>> resized = {};  // the training samples, in shapes that were asked for
  std::vector<std::string> class_names = {};           // by label; numbers where the format has no names
  std::string fingerprint = {};                        // of the training samples, see Dataset::fingerprint()
};

// Training samples are augmented, but with data.cache: device, where the cache does that.  With on_error: skip, what
// cannot be read is passed over and told `bad_samples`, which must outlive the sets.  `more_shapes`, of samples (n =
// 1), are for images and synthetic data.  Throws Error(kNoInput, kBadData) naming the file.
Datasets open_datasets(const DataConfig& data, uint64_t seed, BadSamples& bad_samples,
                       const std::vector<Shape>& more_shapes = {});

// Whether they are the labels themselves: nobody has named the classes.
bool are_numbers(const std::vector<std::string>& class_names);

AugmentOptions augment_options(const AugmentConfig& config);

MixOptions mix_options(const MixConfig& config, uint64_t seed);

// The shape of a sample (n = 1) and the number of training samples, found without reading images.
// Throws Error: kNoInput for a missing file, kBadData for one that is not what the format says.
Shape sample_shape(const DataConfig& data);
int64_t training_samples(const DataConfig& data);

}  // namespace convoy
