// y = (x / 255 - mean[c]) / std[c]: u8 pixels [N,H,W,C] to activations of the compute dtype.  No gradient.
//
// bgr: channel c of y is made of channel 2 - c of the pixels: red, green and blue in the other order, for networks that
// were trained so.  mean and std go with the channels of y.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

class Normalize : public Layer {
 public:
  static constexpr const char* kType = "normalize";
  // One value per channel, or one for all.
  Normalize(std::vector<float> mean, std::vector<float> std, bool bgr = false)
      : mean_(std::move(mean)), std_(std::move(std)), bgr_(bgr) {}
  float mean(int c) const { return mean_.size() == 1 ? mean_[0] : mean_[static_cast<size_t>(c)]; }
  float std(int c) const { return std_.size() == 1 ? std_[0] : std_[static_cast<size_t>(c)]; }
  bool bgr() const { return bgr_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  std::vector<float> mean_, std_;
  bool bgr_;
};

std::unique_ptr<Kernel> make_cpu_kernel(const Normalize& layer, const CompileRequest& request);

}  // namespace convoy
