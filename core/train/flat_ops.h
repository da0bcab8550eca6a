// Element-wise work on the flat parameter buffers and on batches, one implementation a device.  All pointers are device
// memory; scalars and control are read when the work runs, so it can be captured once and replayed.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/simd.h"
#include "core/device/cuda_library.h"
#include "core/device/device.h"
#include "core/device/image_row.h"
#include "core/graph/layer.h"

namespace convoy {

// A run of elements that are updated alike.
struct UpdateRange {
  int64_t begin = 0, end = 0;
  float learning_rate_scale = 1;
  float weight_decay = 0;  // gradient += weight_decay * value (coupled, L2), as torch.optim.SGD and Adam do
  int rows = 0;  // where the range is one tensor that is updated as a matrix [rows, …]; 0: element by element
  int64_t state_shift = 0;  // element i of the parameters is element i - state_shift of an optimizer's buffers
};

// Of gradients, before anything else is done with them.
struct ClipOptions {
  float norm = 0;   // the most that the 2-norm of all gradients together may be; 0: any
  float value = 0;  // the most that an element's absolute value may be; 0: any
};

struct SgdOptions {
  float momentum = 0;
  bool nesterov = false;
};

struct AdamOptions {
  float beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-8F;
  int64_t steps_before = 0;  // updates that mean and variance have seen before step 0
  bool decoupled = false;    // AdamW: value -= learning rate * weight_decay * value, and the gradient stays as it is
};

struct RmspropOptions {
  float alpha = 0.99F, epsilon = 1e-8F, momentum = 0;
};

struct LarsOptions {
  float momentum = 0, trust = 0.001F, epsilon = 1e-8F;
};

struct MuonOptions {
  SgdOptions sgd;            // the momentum; and how everything but the filters is updated
  int iterations = 3;        // of Newton and Schulz
  bool renormalizes = true;  // before each update a filter's norm is set to √rows
};

constexpr double kMuonEpsilon = 1e-7;  // added to the norm of a direction

// f16 only: after an overflow the scale is halved and the step skipped; after `grow_every` good steps it is doubled.
struct LossScaleOptions {
  float initial = 65536;
  float smallest = 0x1.0p-14F, largest = 0x1.0p24F;
  int grow_every = 2000;
};

// What an update of the parameters reads and writes, at the offsets of an UpdateRange.
struct UpdateBuffers {
  float* value = nullptr;
  const float* gradient = nullptr;  // times the loss scale
  void* shadow = nullptr;           // value in `shadow_dtype`, written along; null: there is none
  Dtype shadow_dtype = Dtype::kF32;
};

// What every update looks at when it runs.
struct UpdateControl {
  const StepScalars* scalars = nullptr;
  const LossScale* loss_scale = nullptr;
  const float* control = nullptr;  // [kControlSize], summed over ranks: where kNonFinite or kOverflow > 0, all skip
  const float* clip = nullptr;     // what gradients are multiplied by; null: they are not
  float largest = 0;               // absolute value of a gradient; 0: any
};

class FlatOps {
 public:
  virtual ~FlatOps() = default;
  virtual void clear(float* to, int64_t elements, Stream& stream) = 0;
  virtual void copy(float* to, const float* from, int64_t elements, Stream& stream) = 0;
  virtual void add(float* to, const float* from, int64_t elements, Stream& stream) = 0;  // to += from
  // Between f32 and f32, bf16 or f16, to nearest even.
  virtual void convert(void* to, Dtype to_dtype, const void* from, Dtype from_dtype, int64_t elements,
                       Stream& stream) = 0;
  // *nanoseconds += sign * what the device's clock shows behind the work given to `stream` so far: with -1 in front of
  // something and +1 behind it, how long it took.
  virtual void add_clock(int64_t* nanoseconds, int sign, Stream& stream) = 0;
  // A batch out of a data set in device memory: to [count,H,W,C] is what rows [count] say.
  virtual void gather_images(uint8_t* to, const ImageSet& images, const ImageRow* rows, int count, Stream& stream) = 0;

  // Adds 1 to control[kOverflow] when one of the elements is NaN or infinite.
  virtual void flag_nonfinite(const float* from, int64_t elements, float* control, Stream& stream) = 0;

  // *norm = the 2-norm, summed up as clip_norm's is.
  virtual void norm(float* norm, const float* from, int64_t elements, Stream& stream) = 0;
  // control[kGradientNorm] = the 2-norm of gradient / loss scale, summed up in f64 in an order that depends on nothing
  // but `elements`;  *clip = min(1, largest / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
  virtual void clip_norm(const float* gradient, int64_t elements, const LossScale* loss_scale, float largest,
                         float* control, float* clip, Stream& stream) = 0;

  // One optimizer update of a range; g = gradient / loss scale, clipped.
  // torch.optim.SGD (dampening 0): g += decay w; m = momentum m + g; w -= lr (nesterov ? g + momentum m : m).
  // `momentum` may be null when options.momentum is 0.
  virtual void sgd(const UpdateBuffers& buffers, float* momentum, const UpdateRange& range, const SgdOptions& options,
                   const UpdateControl& control, Stream& stream) = 0;
  // Kingma & Ba 2015 with bias correction, as torch.optim.Adam and AdamW; step = steps_before + scalars->step + 1.
  virtual void adam(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
                    const AdamOptions& options, const UpdateControl& control, Stream& stream) = 0;
  // torch.optim.RMSprop: g += decay w; v = alpha v + (1 - alpha) g²; m = momentum m + g / (√v + ε); w -= lr m.
  // `momentum` may be null when options.momentum is 0.
  virtual void rmsprop(const UpdateBuffers& buffers, float* variance, float* momentum, const UpdateRange& range,
                       const RmspropOptions& options, const UpdateControl& control, Stream& stream) = 0;
  // LARS (You et al. 2017, arXiv:1708.03888): v = momentum v + lr local (g + decay w); w -= v.  For a matrix
  // local = trust ‖w‖ / (‖g‖ + decay ‖w‖ + ε) where neither norm is 0, else 1; norms are summed as clip_norm's is.
  virtual void lars(const UpdateBuffers& buffers, float* velocity, const UpdateRange& range, const LarsOptions& options,
                    const UpdateControl& control, Stream& stream) = 0;
  // LAMB (You et al. 2019, arXiv:1904.00962): r = m̂ / (√v̂ + ε) + decay w with Adam's mean and variance;
  // w -= lr ratio r.  For a matrix ratio = ‖w‖ / ‖r‖ where neither norm is 0, else 1.  options.decoupled has no
  // meaning.
  virtual void lamb(const UpdateBuffers& buffers, float* mean, float* variance, const UpdateRange& range,
                    const AdamOptions& options, const UpdateControl& control, Stream& stream) = 0;
  // Muon (optimizer.h) of one matrix, before its update is made orthogonal: m = momentum m + g;
  // direction = u / (‖u‖ + kMuonEpsilon) of u = nesterov ? g + momentum m : m.  `direction` begins at the matrix.
  virtual void muon_direction(const UpdateBuffers& buffers, float* momentum, float* direction, const UpdateRange& range,
                              const MuonOptions& options, const UpdateControl& control, Stream& stream) = 0;
  // … and behind: w = (1 - lr decay) √rows / ‖w‖ w - lr direction; without renormalizes, or where ‖w‖ is 0,
  // w = (1 - lr decay) w - lr direction.
  virtual void muon(const UpdateBuffers& buffers, const float* direction, const UpdateRange& range,
                    const MuonOptions& options, const UpdateControl& control, Stream& stream) = 0;
  // to = a x + b to
  virtual void combine(float* to, float a, const float* x, float b, int64_t elements, Stream& stream) = 0;
  // average += share (value - average); skips as the optimizer does.
  virtual void move_average(float* average, const float* value, int64_t elements, float share,
                            const UpdateControl& control, Stream& stream) = 0;
  virtual void swap(float* a, float* b, int64_t elements, Stream& stream) = 0;
  // state = (1 - momentum) state + momentum * sum / (micro-batches of the global batch); skips as the optimizer does.
  virtual void update_state(float* state, const float* sum, int64_t elements, float momentum,
                            const UpdateControl& control, Stream& stream) = 0;
  // Moves the scale on, behind all updates that read it.
  virtual void update_loss_scale(LossScale* loss_scale, const float* control, const LossScaleOptions& options,
                                 Stream& stream) = 0;
};

// All levels give the same bits.  Requires: the processor has `level`.
std::unique_ptr<FlatOps> make_cpu_flat_ops(SimdLevel level = simd_level());

// For devices of `library`, which must outlive them.
std::unique_ptr<FlatOps> make_cuda_flat_ops(const CudaLibrary& library);

}  // namespace convoy
