// The exponential moving average of the weights over the steps, which often does better than the weights themselves.
#pragma once

#include "core/graph/parameters.h"
#include "core/train/flat_ops.h"

namespace convoy {

// average += (1 - decay) (weight - average) after every step that is not skipped, of trainable weights and of running
// statistics that move, as torchvision's recipes and timm do.
class WeightAverage {
 public:
  // The ops must outlive it.
  WeightAverage(FlatOps& ops, Allocator& allocator, const Parameters& parameters, double decay);

  static int64_t bytes_for(const Parameters& parameters);

  // Starts from the weights as they are.
  void start(const Parameters& parameters, Stream& stream);
  // Behind the optimizer's step.
  void step(const Parameters& parameters, const StepScalars* scalars, Stream& stream);
  // Weights and statistics change places with their averages; the shadow of the weights is left to the caller.
  void swap(Parameters& parameters, Stream& stream);

  // The elements of the parameters' values and state that it has: [0, T) and [0, S).
  float* values() const { return values_.as<float>(); }
  float* state() const { return state_.as<float>(); }
  int64_t value_elements() const { return values_.bytes() / size_of(Dtype::kF32); }
  int64_t state_elements() const { return state_.bytes() / size_of(Dtype::kF32); }

 private:
  FlatOps& ops_;
  const float share_;  // of the newest
  Buffer values_, state_;
};

}  // namespace convoy
