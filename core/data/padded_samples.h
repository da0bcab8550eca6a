// Samples that fill a larger shape: zeros around the image, and grey three times as colour.
#pragma once

#include <memory>
#include <string>

#include "core/data/dataset.h"

namespace convoy {

class PaddedSamples final : public Dataset {
 public:
  // The image lies in the middle; where that is between two pixels, towards the first row and column.  Throws
  // Error(kConfig) saying what is too small, without a location.
  PaddedSamples(std::unique_ptr<Dataset> all, const Shape& sample);

  int64_t size() const override { return all_->size(); }
  Shape sample() const override { return sample_; }
  int classes() const override { return all_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  void will_read(int64_t i) const override { all_->will_read(i); }
  std::string fingerprint() const override { return to_string(sample_) + " around " + all_->fingerprint(); }

 private:
  const std::unique_ptr<Dataset> all_;
  const Shape sample_;
};

}  // namespace convoy
