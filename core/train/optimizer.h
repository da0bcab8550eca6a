// Optimizers over the flat buffers: one pass per range of parameters that are updated alike.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/graph/parameters.h"
#include "core/train/flat_ops.h"
#include "core/train/matrix_product.h"

namespace convoy {

// Settings for the parameters whose name matches a glob pattern ("*.bias", "block3.*"); the first match counts.
struct GroupSettings {
  std::string match;
  float learning_rate_scale = 1;
  std::optional<float> weight_decay = {};  // instead of what they would have
};

using IsMatrix = std::function<bool(const ParameterSlot&)>;

// Biases and the parameters of norms.
bool is_vector(const ParameterSlot& slot);

// Cuts what this rank updates into the fewest ranges that are updated alike.  Biases and the parameters of norms, which
// are vectors, do not decay unless decay_vectors or their group says so.  A tensor that is_matrix has a range of its
// own, with its rows. Throws Error(kConfig) when a pattern matches nothing.
std::vector<UpdateRange> update_ranges(const Parameters& parameters, float weight_decay,
                                       const std::vector<GroupSettings>& groups, bool decay_vectors = true,
                                       const IsMatrix& is_matrix = {});

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Reads gradients, learning rate and the non-finite flag from device memory when it runs; sets that flag when a
  // gradient is NaN or infinite, and skips itself when it is set.  Also moves the running statistics on.
  void step(Parameters& parameters, const StepScalars* scalars, Stream& stream) {
    check_gradients(parameters, stream);
    apply(parameters, scalars, stream);
  }
  // The two halves of a step.  Where every rank updates parts of its own, it checks those, and all ranks sum
  // checked() in between.
  void check_gradients(Parameters& parameters, Stream& stream);
  std::vector<Tensor> checked(const Parameters& parameters) const;
  void apply(Parameters& parameters, const StepScalars* scalars, Stream& stream);
  // From now on the loss scale moves on with every step (f16).
  void scale_loss(const LossScaleOptions& options) { loss_scale_ = options; }
  bool scales_loss() const { return loss_scale_.has_value(); }
  // From now on gradients are clipped.
  void clip(const ClipOptions& options, Allocator& allocator, const Parameters& parameters);
  bool clips_norm() const { return clip_.norm > 0; }

  // The optimizer's own buffers, for checkpoints: what belongs to the parts that this rank updates, one part behind
  // the other; of all parameters, T elements at their offsets.
  struct State {
    std::string name;  // "momentum"
    float* data;
  };
  virtual std::vector<State> state() = 0;
  // Memory that holds nothing between steps.
  virtual int64_t scratch_bytes() const { return 0; }

 protected:
  Optimizer(FlatOps& ops, std::vector<UpdateRange> ranges) : ops_(ops), ranges_(std::move(ranges)) {}
  virtual void update(const UpdateBuffers& buffers, const UpdateRange& range, const UpdateControl& control,
                      Stream& stream) = 0;
  // A buffer of state as an update of that range takes it.
  static float* at(const Buffer& state, const UpdateRange& range) {
    return state.data() == nullptr ? nullptr : state.as<float>() - range.state_shift;
  }
  const std::vector<UpdateRange>& ranges() const { return ranges_; }
  FlatOps& ops_;

 private:
  int64_t norm_count() const { return norms_.bytes() / size_of(Dtype::kF32); }

  std::vector<UpdateRange> ranges_;
  ClipOptions clip_;
  Buffer clip_factor_;  // f32
  Buffer norms_;        // f32, of every rank's parts in turn; none where a rank updates all
  std::optional<LossScaleOptions> loss_scale_;
};

std::unique_ptr<Optimizer> make_sgd(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                    std::vector<UpdateRange> ranges, const SgdOptions& options);
std::unique_ptr<Optimizer> make_rmsprop(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                        std::vector<UpdateRange> ranges, const RmspropOptions& options);
std::unique_ptr<Optimizer> make_adam(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const AdamOptions& options);
// With matrices cut out by update_ranges(): all tensors but vectors.
std::unique_ptr<Optimizer> make_lars(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const LarsOptions& options);
std::unique_ptr<Optimizer> make_lamb(FlatOps& ops, Allocator& allocator, const Parameters& parameters,
                                     std::vector<UpdateRange> ranges, const AdamOptions& options);
// Muon as Keller Jordan's airbench94_muon.py has it, in f32, with matrices cut out: the filters.  Their update is the
// momentum, made nearly orthogonal by the quintic iteration of Newton and Schulz over [rows, …]; it is not divided by
// anything, so the learning rate is the change of a filter's norm in units of about √rows.  Everything else is
// updated by SGD.  `products` must outlive it.
std::unique_ptr<Optimizer> make_muon(FlatOps& ops, const MatrixProducts& products, Allocator& allocator,
                                     const Parameters& parameters, std::vector<UpdateRange> ranges,
                                     const MuonOptions& options);

// Zeros, one for each element that this rank updates: where an optimizer keeps something.  Has memory even where there
// is no element, so that all ranks see the same state.
Buffer state_buffer(Allocator& allocator, const Parameters& parameters);

// `*` matches any run of characters, `?` one; everything else itself.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace convoy
