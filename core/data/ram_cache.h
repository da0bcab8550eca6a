// Keeps what was read: from the second epoch on samples come out of memory.
//
// For data sets whose samples are the same in every epoch; what changes them goes around this.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace convoy {

class RamCache final : public Dataset {
 public:
  // Address space for all samples; memory is taken as they are read.
  explicit RamCache(std::unique_ptr<Dataset> all);

  int64_t size() const override { return all_->size(); }
  Shape sample() const override { return all_->sample(); }
  int classes() const override { return all_->classes(); }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  void will_read(int64_t i) const override;
  std::string fingerprint() const override { return all_->fingerprint(); }

 private:
  enum State : uint8_t { kAbsent, kBeingKept, kPresent };

  const std::unique_ptr<Dataset> all_;
  const size_t sample_bytes_;
  const std::unique_ptr<uint8_t[]> pixels_;         // [N,H,W,C]
  mutable std::vector<std::atomic<State>> states_;  // of samples; kPresent: its pixels and label can be read
  mutable std::vector<int> labels_;
};

}  // namespace convoy
