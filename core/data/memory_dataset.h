// Images and labels that are held in memory, and what readers of arrays of images share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/data/dataset.h"

namespace convoy {

// From dimensions [n,h,w] or [n,h,w,c]; `name` is for messages.  Throws Error(kBadData) for others, also where one is
// 0 or images are too large.
ImagesHeader images_header(std::span<const int64_t> dims, const std::string& name);

class MemoryDataset final : public Dataset {
 public:
  struct Names {
    std::string images, labels;  // for messages
  };
  // `pixels` are [N,H,W,C].  Images with the label `ignored` are left out.  Throws Error(kBadData) unless each other
  // has a label of 0..classes-1, and there is one; names the first that is wrong.
  MemoryDataset(const ImagesHeader& images, int classes, std::vector<uint8_t> pixels, std::vector<int32_t> labels,
                const Names& names, std::optional<int> ignored = {});

  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  Shape sample() const override { return sample_; }
  int classes() const override { return classes_; }
  int read(int64_t i, int64_t epoch, uint8_t* pixels) const override;
  std::string fingerprint() const override { return fingerprint_; }

 private:
  void leave_out(int label);

  const Shape sample_;
  const int classes_;
  std::vector<uint8_t> pixels_;
  std::vector<int32_t> labels_;
  std::string fingerprint_;
};

}  // namespace convoy
