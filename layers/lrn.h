// Local response normalisation (Krizhevsky et al. 2012) across channels, as torch.nn.LocalResponseNorm:
//
//   y[c] = x[c] / s[c]^beta
//   s[c] = k + alpha / size · Σ x[j]²   over size channels, c - size/2 <= j <= c + (size-1)/2
//
// Channels that there are not count as zero.  x, y [N,H,W,C].  Sums are f32 for any dtype.
#pragma once

#include "core/graph/layer.h"

namespace convoy {

struct LrnOptions {
  int size = 5;
  float alpha = 1e-4F, beta = 0.75F, k = 1;
};

class Lrn : public Layer {
 public:
  static constexpr const char* kType = "lrn";
  explicit Lrn(const LrnOptions& options) : options_(options) {}
  const LrnOptions& options() const { return options_; }
  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  LrnOptions options_;
};

// The channels that s[c] sums over: [first, end).
struct LrnWindow {
  int first, end;
};
constexpr LrnWindow lrn_window(int size, int channels, int c) {
  const int first = c - size / 2, end = c + (size - 1) / 2 + 1;
  return {first < 0 ? 0 : first, end < channels ? end : channels};
}
// The channels whose sums contain x[c]: likewise.
constexpr LrnWindow lrn_readers(int size, int channels, int c) {
  const int first = c - (size - 1) / 2, end = c + size / 2 + 1;
  return {first < 0 ? 0 : first, end < channels ? end : channels};
}

std::unique_ptr<Kernel> make_cpu_kernel(const Lrn& layer, const CompileRequest& request);

}  // namespace convoy
