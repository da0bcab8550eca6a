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

// t of loss.h, of each class; in evaluation without smoothing.
std::vector<double> wanted(const Loss& layer, const Inputs& in, size_t row) {
  const auto classes = static_cast<size_t>(in.x[0].shape.c);
  const double smoothing = in.mode == Mode::kTrain ? layer.label_smoothing() : 0;
  const Target target = target_of(in.x[1], row);
  std::vector<double> t(classes, smoothing / static_cast<double>(classes));
  t[static_cast<size_t>(target.a)] += (1 - smoothing) * target.share;
  t[static_cast<size_t>(target.b)] += (1 - smoothing) * (1 - double{target.share});
  return t;
}

std::vector<double> row_of(const Array& x, size_t row) {
  const auto classes = static_cast<int64_t>(x.shape.c);
  const auto first = x.data.begin() + static_cast<int64_t>(row) * classes;
  return {first, first + classes};
}
std::vector<double> logits_of(const Inputs& in, size_t row) { return row_of(in.x[0], row); }

double class_weight(const Inputs& in, size_t k) { return in.x.size() == 3 && in.mode == Mode::kTrain ? in.x[2][k] : 1; }

double log_of_sum(const std::vector<double>& x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (const double value : x) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

// How many classes come before the first of a row's two.
int rank(const std::vector<double>& x, size_t of) {
  int before = 0;
  for (size_t k = 0; k < x.size(); ++k) before += x[k] > x[of] || (x[k] == x[of] && k < of) ? 1 : 0;
  return before;
}

// say(x) gives the output of a row, and loss(x, t) what it adds.
template <class Say, class RowLoss>
Outputs forward(const Loss& layer, const Inputs& in, const Say& say, const RowLoss& loss) {
  Outputs out;
  out.y = Array(in.x[0].shape);
  out.control[kValidRows] = in.scalars.valid_rows;
  for (size_t row = 0; row < static_cast<size_t>(in.x[0].shape.n); ++row) {
    const std::vector<double> x = logits_of(in, row), y = say(x);
    std::ranges::copy(y, out.y.data.begin() + static_cast<int64_t>(row * x.size()));
    if (static_cast<int>(row) >= in.scalars.valid_rows) continue;
    const int before = rank(x, static_cast<size_t>(target_of(in.x[1], row).a));
    out.control[kLossSum] += loss(x, wanted(layer, in, row));
    out.control[kCorrect] += before == 0 ? 1 : 0;
    if (in.mode == Mode::kEval) out.control[kCorrectTop5] += before < 5 ? 1 : 0;
  }
  return out;
}

// gradient(x, y, t) of the loss of a row.
template <class RowGradient>
Gradients backward(const Loss& layer, const Inputs& in, const RowGradient& gradient) {
  Gradients g = zero_gradients(in);
  const double scale = double{in.loss_scale} * double{in.scalars.one_over_global_rows};
  for (size_t row = 0; row < static_cast<size_t>(in.scalars.valid_rows); ++row) {
    const std::vector<double> x = logits_of(in, row), dx = gradient(x, wanted(layer, in, row));
    for (size_t k = 0; k < x.size(); ++k) g.dx[0][row * x.size() + k] = dx[k] * scale;
  }
  return g;
}

// Of each class by itself.
template <class Function>
std::vector<double> each(const std::vector<double>& x, const Function& function) {
  std::vector<double> result(x.size());
  for (size_t k = 0; k < x.size(); ++k) result[k] = function(k);
  return result;
}

std::vector<double> softmax(const std::vector<double>& x) {
  const double log_sum = log_of_sum(x);
  return each(x, [&](size_t k) { return std::exp(x[k] - log_sum); });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
// log(1 + e^x)
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

}  // namespace

Outputs forward(const SoftmaxCrossEntropy& layer, const Inputs& in) {
  const auto loss = [&](const std::vector<double>& x, const std::vector<double>& t) {
    const double log_sum = log_of_sum(x);
    double sum = 0;
    for (size_t k = 0; k < x.size(); ++k) sum += class_weight(in, k) * t[k] * (log_sum - x[k]);
    return sum;
  };
  return forward(layer, in, softmax, loss);
}

Gradients backward(const SoftmaxCrossEntropy& layer, const Inputs& in) {
  return backward(layer, in, [&](const std::vector<double>& x, const std::vector<double>& t) {
    const std::vector<double> p = softmax(x);
    double weights = 0;
    for (size_t k = 0; k < x.size(); ++k) weights += class_weight(in, k) * t[k];
    return each(x, [&](size_t k) { return p[k] * weights - class_weight(in, k) * t[k]; });
  });
}

namespace {

// A distillation's cross-entropy, with its inputs.
SoftmaxCrossEntropy of_labels(const Distillation& layer) { return SoftmaxCrossEntropy(layer.label_smoothing()); }
Inputs without_teacher(Inputs in) {
  in.x.resize(2);
  return in;
}

// log softmax(x / T)
std::vector<double> log_softmax(std::vector<double> x, double temperature) {
  for (double& value : x) value /= temperature;
  const double log_sum = log_of_sum(x);
  return each(x, [&](size_t k) { return x[k] - log_sum; });
}

}  // namespace

Outputs forward(const Distillation& layer, const Inputs& in) {
  Outputs out = forward(of_labels(layer), without_teacher(in));
  if (in.mode == Mode::kEval) return out;
  out.control[kLossSum] *= 1 - layer.weight();
  for (size_t row = 0; row < static_cast<size_t>(in.scalars.valid_rows); ++row) {
    const std::vector<double> log_q = log_softmax(logits_of(in, row), layer.temperature());
    const std::vector<double> log_r = log_softmax(row_of(in.x[2], row), layer.temperature());
    double divergence = 0;
    for (size_t k = 0; k < log_q.size(); ++k) divergence += std::exp(log_r[k]) * (log_r[k] - log_q[k]);
    out.control[kLossSum] += layer.weight() * layer.temperature() * layer.temperature() * divergence;
  }
  return out;
}

Gradients backward(const Distillation& layer, const Inputs& in) {
  Gradients g = zero_gradients(in);
  g.dx[0] = backward(of_labels(layer), without_teacher(in)).dx[0];
  const double scale = double{in.loss_scale} * double{in.scalars.one_over_global_rows};
  for (double& value : g.dx[0].data) value *= 1 - layer.weight();
  for (size_t row = 0; row < static_cast<size_t>(in.scalars.valid_rows); ++row) {
    const std::vector<double> log_q = log_softmax(logits_of(in, row), layer.temperature());
    const std::vector<double> log_r = log_softmax(row_of(in.x[2], row), layer.temperature());
    for (size_t k = 0; k < log_q.size(); ++k) {
      g.dx[0][row * log_q.size() + k] +=
          layer.weight() * layer.temperature() * (std::exp(log_q[k]) - std::exp(log_r[k])) * scale;
    }
  }
  return g;
}

Outputs forward(const BinaryCrossEntropy& layer, const Inputs& in) {
  const auto say = [](const std::vector<double>& x) { return each(x, [&](size_t k) { return sigmoid(x[k]); }); };
  const auto loss = [](const std::vector<double>& x, const std::vector<double>& t) {
    double sum = 0;
    for (size_t k = 0; k < x.size(); ++k) sum += t[k] * softplus(-x[k]) + (1 - t[k]) * softplus(x[k]);
    return sum / static_cast<double>(x.size());
  };
  return forward(layer, in, say, loss);
}

Gradients backward(const BinaryCrossEntropy& layer, const Inputs& in) {
  return backward(layer, in, [](const std::vector<double>& x, const std::vector<double>& t) {
    return each(x, [&](size_t k) { return (sigmoid(x[k]) - t[k]) / static_cast<double>(x.size()); });
  });
}

Outputs forward(const MeanSquaredError& layer, const Inputs& in) {
  const auto say = [](const std::vector<double>& x) { return x; };
  const auto loss = [](const std::vector<double>& x, const std::vector<double>& t) {
    double sum = 0;
    for (size_t k = 0; k < x.size(); ++k) sum += (x[k] - t[k]) * (x[k] - t[k]);
    return sum / static_cast<double>(x.size());
  };
  return forward(layer, in, say, loss);
}

Gradients backward(const MeanSquaredError& layer, const Inputs& in) {
  return backward(layer, in, [](const std::vector<double>& x, const std::vector<double>& t) {
    return each(x, [&](size_t k) { return 2 * (x[k] - t[k]) / static_cast<double>(x.size()); });
  });
}

}  // namespace convoy::reference
