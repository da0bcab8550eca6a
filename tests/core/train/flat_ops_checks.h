// What the FlatOps of every device are held to.  A test program links flat_ops_checks.cpp, whose tests run on what the
// program's flat_ops_under_test() makes.
#pragma once

#include <vector>

#include "core/train/flat_ops.h"
#include "tests/core/device/testing.h"

namespace convoy {

struct FlatOpsUnderTest {
  std::unique_ptr<Device> device;
  std::unique_ptr<FlatOps> ops;
};
FlatOpsUnderTest flat_ops_under_test();

using Floats = std::vector<float>;
Floats random_floats(unsigned seed, size_t elements, float least, float most);

// What an optimizer keeps, as a step leaves it.
struct Updated {
  Floats value, momentum, variance, state;
  std::vector<std::byte> shadow;
  friend bool operator==(const Updated&, const Updated&) = default;
};
struct UpdateCase {
  size_t elements = 50'003;       // several threads' worth, and no multiple of any vector
  int64_t begin = 1, behind = 2;  // elements before and behind the range that is updated
  Dtype shadow = Dtype::kF32;     // f32: none
  StepScalars scalars{.learning_rate = 0.1F, .step = 3, .one_over_micro_batches = 1.0F / 3};
  float loss_scale = 1;
  float gradient_times = 1;
  std::vector<float> control = std::vector<float>(kControlSize);

  UpdateRange range(int rows = 0) const { return {begin, static_cast<int64_t>(elements) - behind, 0.5F, 0.01F, rows}; }
};
// Before any update.
Updated initial(const UpdateCase& it);
// Plain SGD, SGD with momentum, with Nesterov's, and the running statistics, one after the other on the same buffers.
Updated run_sgd(const UpdateCase& it, FlatOps& ops, Device& device);
Updated run_adam(const UpdateCase& it, FlatOps& ops, Device& device);
Updated run_adamw(const UpdateCase& it, FlatOps& ops, Device& device);  // with the norm clipped
// Plain, then with momentum, with values clipped.
Updated run_rmsprop(const UpdateCase& it, FlatOps& ops, Device& device);
// As a matrix, then as a vector; with values clipped, or the norm.
Updated run_lars(const UpdateCase& it, FlatOps& ops, Device& device);
Updated run_lamb(const UpdateCase& it, FlatOps& ops, Device& device);
// Without products, with and without renormalizing; then the average.
Updated run_muon(const UpdateCase& it, FlatOps& ops, Device& device);

struct NamedRun {
  const char* name;
  Updated (*run)(const UpdateCase& it, FlatOps& ops, Device& device);
};
constexpr NamedRun kRuns[] = {{"SGD", run_sgd},   {"Adam", run_adam}, {"AdamW", run_adamw}, {"RMSprop", run_rmsprop},
                              {"LARS", run_lars}, {"LAMB", run_lamb}, {"Muon", run_muon}};

}  // namespace convoy
