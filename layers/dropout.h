// y = x / (1 - rate) with probability 1 - rate, else 0.  In evaluation y = x.
//
// The draw of an element depends on (seed, step, row in the global batch, index in the row in H,W,C order, id of the
// layer) only: the mask is the same for any layout, device, number of ranks and size of micro-batch.
#pragma once

#include "core/base/rng.h"
#include "core/graph/layer.h"

namespace convoy {

class Dropout : public Layer {
 public:
  static constexpr const char* kType = "dropout";
  // `id` differs between the dropout layers of one model, else they drop alike.  Requires: 0 <= rate < 1, checked by
  // shape().
  Dropout(float rate, uint32_t id) : rate_(rate), id_(id) {}
  float rate() const { return rate_; }
  uint32_t id() const { return id_; }

  std::string type() const override { return kType; }
  Shape shape(std::span<const Shape> inputs) const override;

 private:
  float rate_;
  uint32_t id_;
};

// Element e of a row uses word e % 4 of philox(random_key(kDropout, seed), dropout_counter(…, e / 4, …)) and is kept
// when that word >= dropout_threshold(rate).
constexpr Random4 dropout_counter(uint32_t id, int64_t step, int64_t row, int64_t quad) {
  return {static_cast<uint32_t>(quad), static_cast<uint32_t>(row), static_cast<uint32_t>(step), id};
}
constexpr uint32_t dropout_threshold(float rate) { return static_cast<uint32_t>(static_cast<double>(rate) * 0x1.0p32); }

std::unique_ptr<Kernel> make_cpu_kernel(const Dropout& layer, const CompileRequest& request);

}  // namespace convoy
