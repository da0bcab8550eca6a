#include "core/train/weight_average.h"

namespace convoy {
namespace {

int64_t bytes_of_values(const Parameters& parameters) { return parameters.trainable_elements() * size_of(Dtype::kF32); }

// Those that move; the others lie behind.
int64_t bytes_of_state(const Parameters& parameters) {
  return (parameters.control() - parameters.batch_state()) * size_of(Dtype::kF32);
}

}  // namespace

WeightAverage::WeightAverage(FlatOps& ops, Allocator& allocator, const Parameters& parameters, double decay)
    : ops_(ops),
      share_(static_cast<float>(1 - decay)),
      values_(allocator, bytes_of_values(parameters)),
      state_(allocator, bytes_of_state(parameters)) {}

int64_t WeightAverage::bytes_for(const Parameters& parameters) {
  return bytes_of_values(parameters) + bytes_of_state(parameters);
}

void WeightAverage::start(const Parameters& parameters, Stream& stream) {
  ops_.copy(values(), parameters.values(), value_elements(), stream);
  ops_.copy(state(), parameters.state(), state_elements(), stream);
}

void WeightAverage::step(const Parameters& parameters, const StepScalars* scalars, Stream& stream) {
  const UpdateControl control{scalars, parameters.loss_scale(), parameters.control()};
  ops_.move_average(values(), parameters.values(), value_elements(), share_, control, stream);
  ops_.move_average(state(), parameters.state(), state_elements(), share_, control, stream);
}

void WeightAverage::swap(Parameters& parameters, Stream& stream) {
  ops_.swap(values(), parameters.values(), value_elements(), stream);
  ops_.swap(state(), parameters.state(), state_elements(), stream);
}

}  // namespace convoy
