// Images that need no file: each class has a coarse random pattern, each sample adds its own noise.
//
// Every byte is a pure integer function of (seed, classes, shape, i): equal on every machine.  A network, and even the
// nearest class mean, learns it; a network that sees shuffled labels does not.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace convoy {

class SyntheticDataset final : public Dataset {
 public:
  struct Options {
    int64_t size = 1024;
    Shape sample = {1, 32, 32, 3};
    int classes = 10;
    uint64_t seed = 0;   // the patterns
    int64_t offset = 0;  // number of the first sample: a test set is the same seed with another range
  };
  // Requires: size, classes and all dimensions >= 1, sample.n == 1, offset >= 0.
  explicit SyntheticDataset(const Options& options);

  int64_t size() const override { return options_.size; }
  Shape sample() const override { return options_.sample; }
  int classes() const override { return options_.classes; }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  std::string fingerprint() const override;

 private:
  const Options options_;
  const uint64_t key_;
  std::vector<uint8_t> patterns_;  // [classes, kCells, kCells, C]
};

}  // namespace convoy
