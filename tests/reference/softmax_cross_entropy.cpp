#include <algorithm>
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {

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
    const double* truth = logits + static_cast<int>(in.x[1][row]);
    out.control[kLossSum] += std::log(sum) + *best - *truth;
    out.control[kCorrect] += truth == best ? 1 : 0;
  }
  return out;
}

Gradients backward(const SoftmaxCrossEntropy& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  const Array p = forward(layer, in).y;
  const auto classes = static_cast<size_t>(p.shape.c);
  const double scale = double{in.loss_scale} * double{in.scalars.one_over_global_rows};
  for (size_t i = 0; i < static_cast<size_t>(in.scalars.valid_rows) * classes; ++i) {
    const bool truth = static_cast<size_t>(in.x[1][i / classes]) == i % classes;
    g.dx[0][i] = (p[i] - (truth ? 1 : 0)) * scale;
  }
  return g;
}

}  // namespace convoy::reference
