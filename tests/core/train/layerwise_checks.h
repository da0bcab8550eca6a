// What LARS, LAMB, Muon and the average of weights are held to on every device.  A test program links
// layerwise_checks.cpp, whose tests run on what the program's layerwise_under_test() makes.
#pragma once

#include <memory>

#include "core/train/flat_ops.h"
#include "core/train/matrix_product.h"

namespace convoy {

struct LayerwiseUnderTest {
  std::unique_ptr<Device> device;
  std::unique_ptr<FlatOps> ops;
  std::unique_ptr<MatrixProducts> products;
};
LayerwiseUnderTest layerwise_under_test();

}  // namespace convoy
