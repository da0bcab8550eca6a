#include <algorithm>
#include <bit>
#include <cmath>

#include "core/device/target.h"
#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// Of the three words of a row.
Target target_of(const Array& words, size_t row) {
  const auto word = [&](size_t i) { return static_cast<int32_t>(words[3 * row + i]); };
  return {word(0), word(1), std::bit_cast<float>(word(2))};
}

}  // namespace

Outputs forward(const SoftmaxCrossEntropy&, const Inputs& in) {
  const Array& x = in.x[0];
  const auto classes = static_cast<size_t>(x.shape.c);
  Outputs out;
  out.y = Array(x.shape);
  out.control[kValidRows] = in.scalars.valid_rows;
  for (size_t row = 0; row < static_cast<size_t>(x.shape.n); ++row) {
    const double* logits = &x.data[row * classes];
    const double* best = std::max_element(logits, logits + classes);
    double sum = 0;
    for (size_t k = 0; k < classes; ++k) sum += std::exp(logits[k] - *best);
    for (size_t k = 0; k < classes; ++k) out.y[row * classes + k] = std::exp(logits[k] - *best) / sum;
    if (static_cast<int>(row) >= in.scalars.valid_rows) continue;
    const Target target = target_of(in.x[1], row);
    const double share = target.share;
    out.control[kLossSum] += share * (std::log(sum) + *best - logits[target.a]);
    out.control[kLossSum] += (1 - share) * (std::log(sum) + *best - logits[target.b]);
    out.control[kCorrect] += logits + target.a == best ? 1 : 0;
  }
  return out;
}

Gradients backward(const SoftmaxCrossEntropy& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  const Array p = forward(layer, in).y;
  const auto classes = static_cast<size_t>(p.shape.c);
  const double scale = double{in.loss_scale} * double{in.scalars.one_over_global_rows};
  for (size_t i = 0; i < static_cast<size_t>(in.scalars.valid_rows) * classes; ++i) {
    const Target target = target_of(in.x[1], i / classes);
    const auto k = static_cast<int>(i % classes);
    const double share = target.share;
    g.dx[0][i] = (p[i] - (target.a == k ? share : 0) - (target.b == k ? 1 - share : 0)) * scale;
  }
  return g;
}

}  // namespace convoy::reference
