// All parameters of a network in flat f32 buffers with equal offsets, so that update, clip, broadcast, reduce and save
// are each one call on a span.
//
//   values      [0, T) trainable parameters in graph order, [T, N) frozen ones
//   gradients   [0, T) at the same offsets, then what ranks add up beside them:
//               [T, T + S) this step's batch-norm statistics, [T + S, T + S + 16) the control block
//   state       [0, S) running statistics, at the offsets of their sums behind the gradients; then those that stand
//               still (momentum 0), which have no sums
//   shadow      [0, N) values in the compute dtype, where the kernels of the device read them so; written by whoever
//               writes values
//   accumulated [0, T) gradients of earlier micro-batches of the same step, where a rank runs several
//   bf16        [0, T) gradients as they travel between ranks, where they do so as bf16
//
// Every slot starts at a multiple of 128 elements (512 bytes); the gaps are zero and stay zero.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/base/element_range.h"
#include "core/graph/graph.h"

namespace convoy {

struct ParameterSlot {
  std::string name;  // "conv1.weight"
  Shape shape;
  Initializer initializer;
  int64_t offset = 0;  // in elements, into values; gradients too when trainable
  bool trainable = true;
  float learning_rate_scale = 1;
  int64_t elements() const { return shape.elements(); }
};

struct StateSlot {
  std::string name;  // "bn1.running_mean"
  Shape shape;
  float initial = 0;
  float momentum = 0;
  int64_t offset = 0;  // in elements, into state and, behind T, into gradients
  int64_t elements() const { return shape.elements(); }
};

// What of the trainable elements a rank updates: all, or, where every rank updates parts of its own, those.
struct Ownership {
  std::vector<ElementRange> parts;  // as many on every rank; some may be empty
  int rank = 0, ranks = 1;          // which of how many ranks with parts of their own

  int64_t elements() const;
};

class Parameters {
 public:
  // `gradient_allocator` is the communicator's; both allocators must outlive this.  `shadow` f32: none is kept.
  // `travels_as_bf16`: makes bf16_gradients() at once, beside the other memory that all ranks allocate together.
  // `values_travel`: values are there, too.
  Parameters(const Graph& graph, Allocator& allocator, Allocator& gradient_allocator, Dtype shadow = Dtype::kF32,
             bool travels_as_bf16 = false, bool values_travel = false);

  const std::vector<ParameterSlot>& slots() const { return slots_; }
  const std::vector<StateSlot>& state_slots() const { return state_slots_; }
  // First slot of a node of the graph this was made from; its slots follow each other.
  int first_slot(const std::string& node_name) const;
  int first_state_slot(const std::string& node_name) const;

  int64_t trainable_elements() const { return trainable_; }  // T, gaps included
  int64_t parameter_count() const;                           // without gaps
  // Without set_own() all of [0, T).
  const Ownership& own() const { return own_; }
  void set_own(Ownership own) { own_ = std::move(own); }
  float* values() const { return values_.as<float>(); }
  void* shadow() const { return shadow_.data(); }  // null: there is none
  Dtype shadow_dtype() const { return shadow_dtype_; }
  LossScale* loss_scale() const { return loss_scale_.as<LossScale>(); }
  float* gradients() const { return gradients_.as<float>(); }
  float* accumulated();        // allocated at the first call
  uint16_t* bf16_gradients();  // likewise, of the memory of `gradients`: all ranks make the first call
  // [T], what was lost when this rank's gradients became bf16_gradients(); starts zero.  Allocated at the first call.
  float* rounded_off();
  float* state() const { return state_.as<float>(); }
  float* batch_state() const { return gradients() + trainable_; }
  float* control() const { return batch_state() + moving_state_; }
  int64_t value_elements() const { return value_elements_; }
  int64_t state_elements() const { return state_elements_; }
  // Elements of `gradients` in all: T + S + 16.
  int64_t reduced_elements() const { return trainable_ + moving_state_ + kControlSize; }

  Tensor value(const ParameterSlot& slot) const { return {values() + slot.offset, {slot.shape}}; }
  Tensor gradient(const ParameterSlot& slot) const;  // no data when frozen
  Tensor shadow(const ParameterSlot& slot) const;    // no data when there is none
  Tensor state(const StateSlot& slot) const { return {state() + slot.offset, {slot.shape}}; }
  // No data where it stands still.
  Tensor batch_state(const StateSlot& slot) const {
    return {slot.momentum == 0 ? nullptr : batch_state() + slot.offset, {slot.shape}};
  }

  // Fills values and state as the layers ask, a pure function of (seed, slot name, element), and the loss scale.  The
  // shadow is left to the caller.
  void initialize(uint64_t seed, float loss_scale, Device& device);

 private:
  Allocator &allocator_, &gradient_allocator_;
  std::vector<ParameterSlot> slots_;
  std::vector<StateSlot> state_slots_;
  std::vector<std::pair<std::string, std::pair<int, int>>> first_slots_;  // node name → (parameter, state)
  int64_t trainable_ = 0, value_elements_ = 0, state_elements_ = 0, moving_state_ = 0;
  Dtype shadow_dtype_;
  Buffer values_, gradients_, state_, shadow_, loss_scale_, accumulated_, bf16_gradients_, rounded_off_;
  Ownership own_;
};

}  // namespace convoy
