// What every layer must compute: double, plain loops, canonical order, written from the formulas in layers/*.h alone.
// reference_test.cpp checks the gradients by central differences; kernels of every device are compared with this.
#pragma once

#include <array>
#include <limits>
#include <vector>

#include "core/graph/layer.h"

namespace convoy::reference {

struct Array {
  Shape shape{0, 0, 0, 0};
  std::vector<double> data;  // N,H,W,C or O,H,W,I

  Array() = default;
  explicit Array(const Shape& of) : shape(of), data(static_cast<size_t>(of.elements())) {}
  size_t size() const { return data.size(); }
  double& operator[](size_t i) { return data[i]; }
  double operator[](size_t i) const { return data[i]; }
  size_t index(int n, int h, int w, int c) const {
    return static_cast<size_t>(((int64_t{n} * shape.h + h) * shape.w + w) * shape.c + c);
  }
};

struct Inputs {
  Mode mode = Mode::kTrain;
  int ranks = 1;  // that share the statistics of a batch, each with these inputs
  StepScalars scalars;
  float loss_scale = 1;
  std::vector<Array> x;
  std::vector<Array> w;      // by parameter
  std::vector<Array> state;  // by state
  Array dy;                  // empty for losses
};

struct Outputs {
  Array y;
  std::vector<Array> batch_state;              // what is added
  std::array<double, kControlSize> control{};  // what is added
  // How near y came to a kink that lies behind rounded arithmetic (a fused relu), relative to the largest element.
  double kink = std::numeric_limits<double>::infinity();
};

struct Gradients {
  std::vector<Array> dx, dw;
};

Outputs forward(const Layer& layer, const Inputs& inputs);
// For Mode::kTrain.  Inputs without a gradient (targets, pixels) get zeros.
Gradients backward(const Layer& layer, const Inputs& inputs);

}  // namespace convoy::reference
