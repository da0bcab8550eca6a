// The GPU's FlatOps: what all devices are held to, and the CPU's bits.
#include "core/train/flat_ops_cuda.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "core/device/device_cuda.h"
#include "tests/core/train/flat_ops_checks.h"
#include "tests/layers/cuda_under_test.h"

namespace convoy {

FlatOpsUnderTest flat_ops_under_test() {
  std::unique_ptr<Device> device = cuda_device(0);  // current from here on
  return {std::move(device), cuda_flat_ops()};
}

namespace {

std::vector<UpdateCase> cases() {
  std::vector<UpdateCase> result;
  for (const Dtype shadow : {Dtype::kF32, Dtype::kBF16, Dtype::kF16}) {
    for (const int64_t begin : {0, 1, 128}) {  // packs of four, and one by one
      UpdateCase it{.elements = 1'003, .begin = begin, .shadow = shadow};
      it.loss_scale = 3;  // its inverse is rounded
      it.scalars.step = begin * 1'000;
      result.push_back(it);
    }
  }
  return result;
}

template <class Body>
void for_cases(Body body) {
  const std::unique_ptr<Device> cpu = make_cpu_device(1);
  const std::unique_ptr<FlatOps> cpu_ops = make_cpu_flat_ops();
  const FlatOpsUnderTest cuda = flat_ops_under_test();
  for_each_way([&](const std::string& way) {
    for (const UpdateCase& it : cases()) {
      SCOPED_TRACE(way + ", from " + std::to_string(it.begin) + ", " + to_string(it.shadow));
      body(it, *cpu_ops, *cpu, *cuda.ops, *cuda.device);
    }
  });
}

TEST(CudaFlatOps, SgdAndRunningStatisticsHaveTheBitsOfTheCpu) {
  for_cases([](const UpdateCase& it, FlatOps& cpu_ops, Device& cpu, FlatOps& ops, Device& device) {
    EXPECT_TRUE(run_sgd(it, ops, device) == run_sgd(it, cpu_ops, cpu));
  });
}

TEST(CudaFlatOps, RmspropHasTheBitsOfTheCpu) {
  for_cases([](const UpdateCase& it, FlatOps& cpu_ops, Device& cpu, FlatOps& ops, Device& device) {
    EXPECT_TRUE(run_rmsprop(it, ops, device) == run_rmsprop(it, cpu_ops, cpu));
  });
}

// But for the last bit: the powers of its bias correction come from another library.
void expect_within_one_bit(const Floats& found, const Floats& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_GE(found[i], std::nextafter(wanted[i], -INFINITY)) << i;
    ASSERT_LE(found[i], std::nextafter(wanted[i], INFINITY)) << i;
  }
}

TEST(CudaFlatOps, AdamHasTheBitsOfTheCpu) {
  for_cases([](const UpdateCase& it, FlatOps& cpu_ops, Device& cpu, FlatOps& ops, Device& device) {
    const Updated found = run_adam(it, ops, device), wanted = run_adam(it, cpu_ops, cpu);
    EXPECT_EQ(found.momentum, wanted.momentum);
    EXPECT_EQ(found.variance, wanted.variance);
    expect_within_one_bit(found.value, wanted.value);
  });
}

// The norm, too, is summed in another order, but in f64.
TEST(CudaFlatOps, AdamWWithTheNormClippedIsThatOfTheCpu) {
  for_cases([](const UpdateCase& it, FlatOps& cpu_ops, Device& cpu, FlatOps& ops, Device& device) {
    const Updated found = run_adamw(it, ops, device), wanted = run_adamw(it, cpu_ops, cpu);
    EXPECT_EQ(found.momentum, wanted.momentum);
    EXPECT_EQ(found.variance, wanted.variance);
    expect_within_one_bit(found.value, wanted.value);
  });
}

// Norms are summed in another order, so a rate may differ in its last bit, and what it was multiplied with.
void expect_near(const Floats& found, const Floats& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_NEAR(found[i], wanted[i], 3e-7 * std::max(0.1F, std::abs(wanted[i]))) << i;
  }
}

TEST(CudaFlatOps, UpdatesByNormsAreThoseOfTheCpu) {
  for_cases([](const UpdateCase& it, FlatOps& cpu_ops, Device& cpu, FlatOps& ops, Device& device) {
    for (const auto run : {run_lars, run_lamb, run_muon}) {
      const Updated found = run(it, ops, device), wanted = run(it, cpu_ops, cpu);
      expect_near(found.value, wanted.value);
      expect_near(found.momentum, wanted.momentum);
      EXPECT_EQ(found.variance, wanted.variance);
      expect_near(found.state, wanted.state);
    }
  });
}

}  // namespace
}  // namespace convoy
