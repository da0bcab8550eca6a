#include "tests/layers/layer_checks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

namespace convoy {
namespace {

using reference::Array;

// One per dtype, for all layers.  f32: sums of a few hundred terms.  bf16 and f16: one rounding of the result (half of
// its last bit is 2^-8 or 2^-11 of the smallest number with the exponent of the largest), all else in f32.
double tolerance(Dtype dtype) {
  constexpr double kSums = 1e-5;
  if (dtype == Dtype::kF32) return kSums;
  return kSums + (dtype == Dtype::kBF16 ? 0x1.0p-8 : 0x1.0p-11);
}

double relative_error(const Array& found, const Array& wanted) {
  constexpr double kTiny = 1e-6;
  double worst = 0, largest = kTiny;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double error = std::abs(found[i] - wanted[i]);
    if (!(error <= worst)) worst = error;  // NaN stays
    largest = std::max(largest, std::abs(wanted[i]));
  }
  return worst / largest;
}

bool equal_bits(const Array& a, const Array& b) {
  const auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
  return std::ranges::equal(a.data, b.data, {}, bits, bits);
}

std::string types_of(const Kernel& kernel) {
  std::string types = to_string(kernel.output());
  for (const ValueType& type : kernel.inputs()) types += ", " + to_string(type);
  return types;
}

void expect_equal_bits(const KernelRig::Run& a, const KernelRig::Run& b) {
  EXPECT_TRUE(equal_bits(a.outputs.y, b.outputs.y)) << "y differs in a second run";
  EXPECT_EQ(a.outputs.control, b.outputs.control);
  EXPECT_TRUE(std::ranges::equal(a.outputs.batch_state, b.outputs.batch_state, equal_bits));
  EXPECT_TRUE(std::ranges::equal(a.gradients.dx, b.gradients.dx, equal_bits)) << "dx differs in a second run";
  EXPECT_TRUE(std::ranges::equal(a.gradients.dw, b.gradients.dw, equal_bits)) << "dw differs in a second run";
}

}  // namespace

std::string name_of(const LayerParam& param) { return param.it->name + "_" + to_string(param.dtype); }

void PrintTo(const LayerParam& param, std::ostream* out) { *out << name_of(param); }

std::vector<LayerParam> layer_params(const std::vector<Dtype>& dtypes) {
  std::vector<LayerParam> result;
  for (const LayerCase& it : layer_cases()) {
    if (it.benchmark) continue;
    for (Dtype dtype : dtypes) result.push_back({&it, dtype});
  }
  return result;
}

LayerTest::LayerTest()
    : tolerance_(tolerance(GetParam().dtype) * (GetParam().dtype == Dtype::kF32 ? 1 : GetParam().it->roundings)),
      it_(*GetParam().it),
      dtype_(GetParam().dtype),
      layer_(it_.layer()),
      inputs_(inputs_off_kinks(it_, dtype_)),
      wanted_(reference::forward(*layer_, inputs_)),
      gradients_(it_.mode == Mode::kTrain ? reference::backward(*layer_, inputs_) : reference::Gradients()) {}

void LayerTest::compare(Pass pass, const std::string& name, const Array& found, const Array& wanted) {
  const double error = relative_error(found, wanted);
  error_table().add(layer_->type(), dtype_, pass, error);
  EXPECT_LE(error, tolerance_) << name;
}

void LayerTest::expect_reference(const KernelRig::Run& run) {
  const auto at = [&](int i) { return static_cast<size_t>(i); };
  compare(Pass::kForward, "y", run.outputs.y, wanted_.y);
  for (size_t i = 0; i < wanted_.batch_state.size(); ++i) {
    compare(Pass::kForward, "batch_state", run.outputs.batch_state[i], wanted_.batch_state[i]);
  }
  for (int i : {kCorrect, kCorrectTop5, kValidRows, kNonFinite})
    EXPECT_EQ(run.outputs.control[at(i)], wanted_.control[at(i)]) << i;
  EXPECT_NEAR(run.outputs.control[kLossSum], wanted_.control[kLossSum], 1e-6 * std::abs(wanted_.control[kLossSum]));
  for (size_t i = 0; i < run.gradients.dx.size(); ++i) {
    if (!wants_dx(it_, i)) continue;
    compare(Pass::kDx, "dx[" + std::to_string(i) + "]", run.gradients.dx[i], gradients_.dx[i]);
  }
  for (size_t i = 0; i < run.gradients.dw.size(); ++i) {
    if (!wants_dw(it_)) continue;
    compare(Pass::kDw, "dw[" + std::to_string(i) + "]", run.gradients.dw[i], gradients_.dw[i]);
  }
}

void LayerTest::check_twice(KernelRig& rig, const Device& device) {
  SCOPED_TRACE(types_of(rig.kernel()) + ", " + rig.kernel().engine() + ", " + device.name());
  const KernelRig::Run run = rig.run(inputs_);
  for (const std::string& fault : run.faults) ADD_FAILURE() << fault;
  expect_reference(run);
  expect_equal_bits(run, rig.run(inputs_));
}

void LayerTest::check_all_layouts(const KernelFactory& kernels, Device& device) {
  std::set<std::string> seen;  // a kernel that takes one layout only need not run for each that is offered
  for (int block : {0, 8, 16}) {
    for (bool last_reader : {false, true}) {
      if (last_reader && it_.mode == Mode::kTrain) continue;
      KernelRig rig(it_, kernels, device, dtype_, {block}, last_reader);
      const std::string in_place = std::to_string(rig.kernel().overwrites());
      if (seen.insert(types_of(rig.kernel()) + in_place).second) check_twice(rig, device);
    }
  }
}

void LayerTest::check_canonical(const KernelFactory& kernels, Device& device) {
  KernelRig rig(it_, kernels, device, dtype_, {});
  check_twice(rig, device);
}

}  // namespace convoy
