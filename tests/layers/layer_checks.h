// What the kernels of every device are held to: results equal the double reference, come out the same when run again,
// and nothing is read or written that the contract of Kernel forbids.
//
// CONVOY_LAYER_ERRORS=1 prints the worst relative errors by layer and dtype as a Markdown table.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/cases/kernel_rig.h"
#include "tests/layers/error_table.h"

namespace convoy {

struct LayerParam {
  const LayerCase* it;
  Dtype dtype;
};
std::string name_of(const LayerParam& param);  // "conv2d_1x1_bf16"
void PrintTo(const LayerParam& param, std::ostream* out);

// All rows of the table but those for the benchmark.
std::vector<LayerParam> layer_params(const std::vector<Dtype>& dtypes);

class LayerTest : public testing::TestWithParam<LayerParam> {
 protected:
  LayerTest();
  // In each layout that the kernel tells from the others, twice.
  void check_all_layouts(const KernelFactory& kernels, Device& device);
  // In N,H,W,C alone: all that kernels of a GPU have, and engines of its libraries take long to make.
  void check_canonical(const KernelFactory& kernels, Device& device);

  double tolerance_;  // of results, relative to the largest element

 private:
  void check_twice(KernelRig& rig, const Device& device);
  void expect_reference(const KernelRig::Run& run);
  void compare(Pass pass, const std::string& name, const reference::Array& found, const reference::Array& wanted);

  const LayerCase& it_;
  const Dtype dtype_;
  const std::unique_ptr<Layer> layer_;
  const reference::Inputs inputs_;
  const reference::Outputs wanted_;
  const reference::Gradients gradients_;
};

}  // namespace convoy
