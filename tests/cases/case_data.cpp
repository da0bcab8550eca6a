#include "tests/cases/case_data.h"

#include <bit>
#include <random>

#include "core/device/target.h"
#include "layers/normalize.h"
#include "layers/softmax_cross_entropy.h"

namespace convoy {
namespace {

using reference::Array;
using Random = std::mt19937_64;

double rounded(double value, Dtype dtype) {
  const auto single = static_cast<float>(value);
  if (dtype == Dtype::kBF16) return bf16_to_f32(f32_to_bf16(single));
  return dtype == Dtype::kF16 ? f16_to_f32(f32_to_f16(single)) : single;
}

// Evenly spaced values of (-1, 1), without 0, in random order.
Array shuffled_grid(const Shape& shape, Random& random) {
  Array result(shape);
  const auto n = static_cast<double>(result.size());
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = (2 * static_cast<double>(i) + 1.3) / n - 1;
    std::swap(result[i], result[random() % (i + 1)]);
  }
  return result;
}

Array activations(const Shape& shape, double mean, double std, Dtype dtype, Random& random) {
  constexpr double kStdOfGrid = 0.57735;
  Array result = shuffled_grid(shape, random);
  for (double& value : result.data) value = rounded(mean + value * std / kStdOfGrid, dtype);
  return result;
}

Array integers(const Shape& shape, uint64_t count, Random& random) {
  Array result(shape);
  for (double& value : result.data) value = static_cast<double>(random() % count);
  return result;
}

// Every other one of two classes.
Array targets(const Shape& shape, uint64_t classes, Random& random) {
  Array words(shape);
  for (size_t row = 0; 3 * row < words.size(); ++row) {
    Target target = Target::of(static_cast<int>(random() % classes));
    if (row % 2 == 1) {
      target.b = static_cast<int>(random() % classes);
      target.share = static_cast<float>(random() % 257) / 256;
    }
    words[3 * row] = target.a;
    words[3 * row + 1] = target.b;
    words[3 * row + 2] = std::bit_cast<int32_t>(target.share);
  }
  return words;
}

Array draw_input(const LayerCase& it, size_t i, Dtype dtype, Random& random) {
  if (i == 2 && it.layer()->type() == SoftmaxCrossEntropy::kType) {
    return activations(it.inputs[i], 1, 0.3, Dtype::kF32, random);  // class weights
  }
  if (i == 2 && it.layer()->is_loss()) return activations(it.inputs[i], it.mean, it.std, Dtype::kF32, random);
  switch (input_dtype(it, i, dtype)) {
    case Dtype::kU8: return integers(it.inputs[i], 256, random);
    case Dtype::kI32: return targets(it.inputs[i], static_cast<uint64_t>(it.inputs[0].c), random);
    default: return activations(it.inputs[i], it.mean, it.std, dtype, random);
  }
}

}  // namespace

std::vector<Shape> parameter_shapes(const LayerCase& it) {
  std::vector<Shape> shapes;
  for (const ParameterSpec& spec : it.layer()->parameters(it.inputs)) shapes.push_back(spec.shape);
  return shapes;
}

std::vector<Shape> state_shapes(const LayerCase& it) {
  std::vector<Shape> shapes;
  for (const StateSpec& spec : it.layer()->state(it.inputs)) shapes.push_back(spec.shape);
  return shapes;
}

Dtype input_dtype(const LayerCase& it, size_t i, Dtype compute) {
  const std::unique_ptr<Layer> layer = it.layer();
  if (layer->type() == Normalize::kType) return Dtype::kU8;
  if (layer->is_loss() && i > 0) return i == 1 ? Dtype::kI32 : Dtype::kF32;
  return compute;
}

bool wants_dx(const LayerCase& it, size_t i) {
  if (it.mode == Mode::kEval || (i > 0 && it.layer()->is_loss())) return false;
  if (input_dtype(it, i, Dtype::kF32) != Dtype::kF32) return false;
  return it.wants_dx.empty() || it.wants_dx[i];
}

bool wants_dw(const LayerCase& it) { return it.mode == Mode::kTrain && it.wants_dw && !parameter_shapes(it).empty(); }

reference::Inputs draw_inputs(const LayerCase& it, Dtype dtype, uint64_t seed) {
  Random random(seed);
  const std::unique_ptr<Layer> layer = it.layer();
  reference::Inputs in;
  in.mode = it.mode;
  in.ranks = it.ranks;
  in.scalars = it.scalars;
  in.loss_scale = it.loss_scale;
  for (size_t i = 0; i < it.inputs.size(); ++i) in.x.push_back(draw_input(it, i, dtype, random));
  for (const Shape& shape : parameter_shapes(it)) in.w.push_back(activations(shape, 0, 1, dtype, random));
  for (const Shape& shape : state_shapes(it)) in.state.push_back(activations(shape, 1, 0.25, Dtype::kF32, random));
  if (!layer->is_loss()) in.dy = activations(layer->shape(it.inputs), 0, 1, dtype, random);
  return in;
}

reference::Inputs inputs_off_kinks(const LayerCase& it, Dtype dtype) {
  constexpr double kNear = 3e-5;
  for (uint64_t seed = 1;; ++seed) {
    reference::Inputs in = draw_inputs(it, dtype, seed);
    if (reference::forward(*it.layer(), in).kink > kNear) return in;
    CHECK(seed < 100, it.name + ": every draw lies on a kink");
  }
}

}  // namespace convoy
