// The first n samples of another data set: quick trials.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/data/dataset.h"

namespace convoy {

class FirstSamples final : public Dataset {
 public:
  FirstSamples(std::unique_ptr<Dataset> all, int64_t limit)
      : all_(std::move(all)), size_(std::min(all_->size(), limit)) {}

  int64_t size() const override { return size_; }
  Shape sample() const override { return all_->sample(); }
  int classes() const override { return all_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override { return all_->read(i, epoch, pixels); }
  void will_read(int64_t i) const override { all_->will_read(i); }
  std::string fingerprint() const override { return "first " + std::to_string(size_) + " of " + all_->fingerprint(); }

 private:
  const std::unique_ptr<Dataset> all_;
  const int64_t size_;
};

}  // namespace convoy
