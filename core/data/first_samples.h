// n samples of another data set: quick trials.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/data/dataset.h"
#include "core/data/sampler.h"

namespace convoy {

class FirstSamples final : public Dataset {
 public:
  // The first `limit`; with `shuffled`, of one fixed random order.
  FirstSamples(std::unique_ptr<Dataset> all, int64_t limit, bool shuffled = false)
      : all_(std::move(all)), size_(std::min(all_->size(), limit)), shuffled_(shuffled) {}

  int64_t size() const override { return size_; }
  Shape sample() const override { return all_->sample(); }
  int classes() const override { return all_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override { return all_->read(of_all(i), epoch, pixels); }
  void will_read(int64_t i) const override { all_->will_read(of_all(i)); }
  std::string fingerprint() const override { return "first " + std::to_string(size_) + " of " + all_->fingerprint(); }

 private:
  int64_t of_all(int64_t i) const { return shuffled_ ? permuted(i, all_->size(), 0, 0) : i; }

  const std::unique_ptr<Dataset> all_;
  const int64_t size_;
  const bool shuffled_;
};

}  // namespace convoy
