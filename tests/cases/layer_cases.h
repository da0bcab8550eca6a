// One table of layers on inputs: the tests of kernels and the benchmark both walk it, on every device.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/layer.h"

namespace convoy {

struct LayerCase {
  std::string name;  // "conv2d_same_even_kernel": begins with the type
  std::function<std::unique_ptr<Layer>()> layer;
  std::vector<Shape> inputs;

  Mode mode = Mode::kTrain;
  std::vector<bool> wants_dx = {};  // by input; empty: all that can have one
  bool wants_dw = true;             // false: a frozen layer
  StepScalars scalars = {};         // valid_rows 0: all rows
  float loss_scale = 1;
  double mean = 0, std = 1;  // of the activations
  int ranks = 1;             // that share the statistics of a batch, each with these inputs
  int roundings = 1;         // of an element of y in 16 bits: a GPU stores products before it adds something to them
  bool benchmark = false;    // of a size met in practice: for the benchmark, too slow for the reference
};

const std::vector<LayerCase>& layer_cases();

}  // namespace convoy
