#include "tests/reference/reference.h"

#include <algorithm>
#include <cmath>

#include "tests/reference/layers.h"

namespace convoy::reference {
namespace {

// Calls call(layer as its own type).
template <class... Layers, class Call>
void visit(const Layer& layer, Call call) {
  const auto try_as = [&](const auto* typed) {
    if (typed != nullptr) call(*typed);
    return typed != nullptr;
  };
  CHECK((try_as(dynamic_cast<const Layers*>(&layer)) || ...), "no reference for " + layer.type());
}

template <class Call>
void visit_any(const Layer& layer, Call call) {
  visit<Conv2d, Linear, MaxPool, AveragePool, GlobalAverage, AdaptiveAveragePool, GlobalMax, Multiply, Softmax,
        StochasticDepth, Activation, Relu, Dropout, Flatten, Add, Concat, Normalize, BatchNorm, SoftmaxCrossEntropy,
        Distillation, BinaryCrossEntropy, MeanSquaredError, Pad, GroupNorm, LayerNorm, Lrn, Upsample, ConvTranspose>(
      layer, call);
}

}  // namespace

Outputs forward(const Layer& layer, const Inputs& inputs) {
  Outputs result;
  visit_any(layer, [&](const auto& typed) { result = forward(typed, inputs); });
  return result;
}

Gradients backward(const Layer& layer, const Inputs& inputs) {
  Gradients result;
  visit_any(layer, [&](const auto& typed) { result = backward(typed, inputs); });
  return result;
}

Gradients zero_gradients(const Inputs& in) {
  Gradients result;
  for (const Array& x : in.x) result.dx.emplace_back(x.shape);
  for (const Array& w : in.w) result.dw.emplace_back(w.shape);
  return result;
}

void fuse_relu(Outputs& out) {
  double nearest = std::numeric_limits<double>::infinity(), largest = 0;
  for (double& y : out.y.data) {
    nearest = std::min(nearest, std::abs(y));
    largest = std::max(largest, std::abs(y));
    y = std::max(y, 0.0);
  }
  out.kink = nearest / largest;
}

Array behind_relu(const Array& y, const Array& dy) {
  Array result(y.shape);
  for (size_t i = 0; i < y.size(); ++i) result[i] = y[i] > 0 ? dy[i] : 0;
  return result;
}

}  // namespace convoy::reference
