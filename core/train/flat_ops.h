// Element-wise work on the flat parameter buffers, one implementation a device.  All pointers are device memory;
// scalars and control are read when the work runs, so it can be captured once and replayed.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/simd.h"
#include "core/device/device.h"
#include "core/graph/layer.h"

namespace convoy {

// A run of elements that are updated alike.
struct UpdateRange {
  int64_t begin = 0, end = 0;
  float learning_rate_scale = 1;
  float weight_decay = 0;  // gradient += weight_decay * value (coupled, L2), as torch.optim.SGD and Adam do
};

struct SgdOptions {
  float momentum = 0;
  bool nesterov = false;
};

struct AdamOptions {
  float beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F;
};

class FlatOps {
 public:
  virtual ~FlatOps() = default;
  virtual void clear(float* to, int64_t elements, Stream& stream) = 0;
  virtual void copy(float* to, const float* from, int64_t elements, Stream& stream) = 0;
  virtual void add(float* to, const float* from, int64_t elements, Stream& stream) = 0;  // to += from

  // Adds 1 to control[kNonFinite] when one of the elements is NaN or infinite.
  virtual void flag_nonfinite(const float* from, int64_t elements, float* control, Stream& stream) = 0;

  // One optimizer update of a range.  Does nothing when control[kNonFinite] > 0: all ranks skip alike.
  // torch.optim.SGD (dampening 0): g += decay w; m = momentum m + g; w -= lr (nesterov ? g + momentum m : m).
  // `momentum` may be null when options.momentum is 0.
  virtual void sgd(float* value, const float* gradient, float* momentum, const UpdateRange& range,
                   const SgdOptions& options, const StepScalars* scalars, const float* control, Stream& stream) = 0;
  // Kingma & Ba 2015 with bias correction, as torch.optim.Adam; step = scalars->step + 1.
  virtual void adam(float* value, const float* gradient, float* mean, float* variance, const UpdateRange& range,
                    const AdamOptions& options, const StepScalars* scalars, const float* control, Stream& stream) = 0;
  // state = (1 - momentum) state + momentum * sum / (micro-batches of the global batch); skips as the optimizer does.
  virtual void update_state(float* state, const float* sum, int64_t elements, float momentum,
                            const StepScalars* scalars, const float* control, Stream& stream) = 0;
};

// All levels give the same bits.  Requires: the processor has `level`.
std::unique_ptr<FlatOps> make_cpu_flat_ops(SimdLevel level = simd_level());

}  // namespace convoy
