// Stochastic depth (Huang et al. 2016), torchvision's mode "row": each row of a batch is kept with probability 1 -
// rate, and divided by that, or becomes 0; in front of the sum of a residual block.  In evaluation y = x.
//
// The draw of a row depends on (seed, step, row in the global batch, id of the layer) only: results are the same for
// any device, number of ranks and size of micro-batch.
#pragma once

#include "layers/dropout.h"

namespace convoy {

class StochasticDepth : public Layer {
 public:
  static constexpr const char* kType = "stochastic_depth";
  // `id` differs between the stochastic-depth layers of one model.  Requires: 0 <= rate < 1, checked by shape().
  StochasticDepth(float rate, uint32_t id) : rate_(rate), id_(id) {}
  float rate() const { return rate_; }
  uint32_t id() const { return id_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  float rate_;
  uint32_t id_;
};

// A quad that no dropout layer reaches: so one with the same id draws otherwise.
inline constexpr int64_t kStochasticDepthQuad = 0xFFFFFFFF;

// What a row of the micro-batch is multiplied by: 0 or 1 / (1 - rate).
struct RowDraw {
  uint32_t id, threshold;
  float scale;

  explicit RowDraw(const StochasticDepth& layer)
      : id(layer.id()), threshold(dropout_threshold(layer.rate())), scale(1.0F / (1.0F - layer.rate())) {}
  constexpr float factor(const StepScalars& scalars, int64_t row) const {
    const uint64_t key = random_key(RandomUse::kDropout, scalars.seed);
    const Random4 words = philox(key, dropout_counter(id, scalars.step, scalars.first_row + row, kStochasticDepthQuad));
    return words[0] >= threshold ? scale : 0.0F;
  }
};

std::unique_ptr<Kernel> make_cpu_kernel(const StochasticDepth& layer, const CompileRequest& request);

}  // namespace convoy
