// y = x with `scale` times as many rows and columns: x [N,H,W,C], y [N, H·scale_h, W·scale_w, C].  Output pixel o lies
// at (o + 1/2) / scale - 1/2 of the input (half-pixel centres, PyTorch's align_corners=False):
//
//   nearest    the input pixel o / scale, rounded down
//   bilinear   between the two neighbours in each direction; outside the image, its edge
#pragma once

#include "core/graph/layer.h"

namespace convoy {

struct UpsampleOptions {
  int scale_h = 2, scale_w = 2;
  bool bilinear = false;
};

class Upsample : public Layer {
 public:
  static constexpr const char* kType = "upsample";
  explicit Upsample(const UpsampleOptions& options) : options_(options) {}
  const UpsampleOptions& options() const { return options_; }
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  UpsampleOptions options_;
};

// One direction.
struct UpsampleAxis {
  int input, scale;
  bool bilinear;
};

// Output o is value[first] · (1 - share) + value[second] · share.
struct UpsampleSource {
  int first, second;
  float share;
};
constexpr UpsampleSource source_of(const UpsampleAxis& axis, int output) {
  if (!axis.bilinear) return {output / axis.scale, output / axis.scale, 0};
  const int twice = 2 * output + 1 - axis.scale;  // 2 · scale · place
  if (twice <= 0) return {0, 0, 0};
  const int first = twice / (2 * axis.scale);
  const float share = static_cast<float>(twice % (2 * axis.scale)) / static_cast<float>(2 * axis.scale);
  return {first, first + 1 < axis.input ? first + 1 : first, share};
}

// The outputs [begin, end) among which those that read an input are.
struct UpsampleReaders {
  int begin, end;
};
constexpr UpsampleReaders readers_of(const UpsampleAxis& axis, int input) {
  const int beyond = axis.bilinear ? axis.scale : 0, all = axis.input * axis.scale;
  const int begin = input * axis.scale - beyond, end = (input + 1) * axis.scale + beyond;
  return {begin < 0 ? 0 : begin, end < all ? end : all};
}
// How much of an input is in an output.
constexpr float weight_of(const UpsampleAxis& axis, int input, int output) {
  const UpsampleSource source = source_of(axis, output);
  return (source.first == input ? 1 - source.share : 0.0F) + (source.second == input ? source.share : 0.0F);
}

std::unique_ptr<Kernel> make_cpu_kernel(const Upsample& layer, const CompileRequest& request);

}  // namespace convoy
