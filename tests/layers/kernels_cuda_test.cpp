// The GPU's own kernels where the case table does not look: ties and numbers that are not finite, many terms, sums that
// kernels lend each other.
#include "layers/kernels_cuda.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/device/target.h"
#include "tests/cases/kernel_rig.h"
#include "tests/core/device/testing.h"
#include "tests/layers/cuda_under_test.h"

namespace convoy {
namespace {

using reference::Array;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

// ---- As the CPU does it, to the bit

void expect_same(const std::string& name, const Array& found, const Array& wanted) {
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_TRUE(found[i] == wanted[i] || (std::isnan(found[i]) && std::isnan(wanted[i])))
        << name << "[" << i << "]: " << found[i] << ", the CPU has " << wanted[i];
  }
}

// `spoil` changes the inputs that the case table would have.
void expect_as_on_cpu(LayerCase it, const std::function<void(reference::Inputs&)>& spoil,
                      const std::vector<Control>& counts = {}) {
  if (it.scalars.valid_rows == 0) it.scalars.valid_rows = it.inputs[0].n;
  const CudaUnderTest cuda = cuda_under_test();
  const std::unique_ptr<Device> cpu = make_cpu_device(1);
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    reference::Inputs inputs = draw_inputs(it, dtype, 1);
    spoil(inputs);
    const KernelRig::Run wanted = KernelRig(it, *make_cpu_kernels(), *cpu, dtype, {}).run(inputs);
    for_each_way([&](const std::string& way) {
      SCOPED_TRACE(it.name + ", " + to_string(dtype) + ", " + way);
      const KernelRig::Run found = KernelRig(it, *cuda.kernels, *cuda.device, dtype, {}).run(inputs);
      for (const Control count : counts) EXPECT_EQ(found.outputs.control[count], wanted.outputs.control[count]);
      if (!it.layer()->is_loss()) expect_same("y", found.outputs.y, wanted.outputs.y);
      for (size_t i = 0; i < found.gradients.dx.size(); ++i) {
        if (!it.layer()->is_loss()) expect_same("dx", found.gradients.dx[i], wanted.gradients.dx[i]);
      }
    });
  }
}

void few_values(reference::Inputs& inputs) {
  for (size_t i = 0; i < inputs.x[0].size(); ++i) inputs.x[0][i] = static_cast<double>(i * i % 7 % 3) - 1;
}

LayerCase max_pool(const Window& window, const Shape& x) {
  return {.name = "max_pool", .layer = [=] { return std::make_unique<MaxPool>(window); }, .inputs = {x}};
}

TEST(MaxPoolCuda, TiesGoToTheFirst) {
  const Window overlapping{3, 3, 2, 2, 1, 1, Padding::number(1)}, large{17, 17, 1, 1, 1, 1, Padding::valid()};
  expect_as_on_cpu(max_pool(overlapping, {2, 9, 8, 16}), few_values);
  expect_as_on_cpu(max_pool(overlapping, {2, 7, 7, 5}), few_values);
  expect_as_on_cpu(max_pool(large, {1, 18, 19, 3}), few_values);
}

TEST(MaxPoolCuda, NanWinsAndInfinityIsANumber) {
  const Window overlapping{3, 3, 2, 2, 1, 1, Padding::number(1)};
  const auto spoil = [](reference::Inputs& inputs) {
    few_values(inputs);
    for (size_t i = 0; i < inputs.x[0].size(); i += 13) inputs.x[0][i] = i % 3 == 0 ? kNan : kInfinity;
    for (size_t i = 0; i < 100; ++i) inputs.x[0][i] = -kInfinity;
  };
  expect_as_on_cpu(max_pool(overlapping, {2, 9, 8, 16}), spoil);
  expect_as_on_cpu(max_pool(overlapping, {2, 9, 8, 3}), spoil);
}

TEST(ReluCuda, NanStaysNan) {
  const LayerCase it{.name = "relu", .layer = [] { return std::make_unique<Relu>(); }, .inputs = {{2, 3, 3, 5}}};
  expect_as_on_cpu(it, [](reference::Inputs& inputs) {
    inputs.x[0][3] = kNan;
    inputs.x[0][17] = kInfinity;
    inputs.x[0][18] = -kInfinity;
  });
}

TEST(DropoutCuda, HasTheMaskOfTheCpu) {
  for (const Shape& x : {Shape{3, 5, 4, 17}, Shape{2, 4, 4, 16}, Shape{2, 1, 1, 3}}) {
    expect_as_on_cpu({.name = "dropout",
                      .layer = [] { return std::make_unique<Dropout>(0.3F, 5U); },
                      .inputs = {x},
                      .scalars = {.step = int64_t{1} << 33, .first_row = int64_t{5} << 32, .seed = 77}},
                     [](reference::Inputs&) {});
  }
}

// Each loss.
std::vector<LayerCase> losses(int rows, int classes, Mode mode = Mode::kTrain) {
  const std::vector<Shape> plain = {{rows, 1, 1, classes}, targets_shape(rows)};
  std::vector<Shape> weighted = plain, taught = plain;
  weighted.push_back({1, 1, 1, classes});
  taught.push_back({rows, 1, 1, classes});
  return {{"softmax", [] { return std::make_unique<SoftmaxCrossEntropy>(); }, plain, mode},
          {"weighted", [] { return std::make_unique<SoftmaxCrossEntropy>(0.1); }, weighted, mode},
          {"distillation", [] { return std::make_unique<Distillation>(0.9, 4, 0.1); }, taught, mode},
          {"binary", [] { return std::make_unique<BinaryCrossEntropy>(0.1); }, plain, mode},
          {"squared", [] { return std::make_unique<MeanSquaredError>(); }, plain, mode}};
}

TEST(LossCuda, CountsTheFirstOfEqualLogits) {
  for (const int classes : {10, 300}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
      for (const LayerCase& it : losses(16, classes, mode)) {
        expect_as_on_cpu(it, few_values, {kCorrect, kCorrectTop5, kValidRows, kNonFinite});
      }
    }
  }
}

TEST(LossCuda, FlagsClassesThatLieAndLossesThatAreNotFinite) {
  const std::vector<std::pair<const char*, std::function<void(reference::Inputs&)>>> spoils = {
      {"first class -1", [](reference::Inputs& in) { in.x[1][3 * 2] = -1; }},
      {"first class behind the last", [](reference::Inputs& in) { in.x[1][3 * 2] = 33; }},
      {"second class -1", [](reference::Inputs& in) { in.x[1][3 * 2 + 1] = -1; }},
      {"second class behind the last", [](reference::Inputs& in) { in.x[1][3 * 2 + 1] = 33; }},
      {"NaN", [](reference::Inputs& in) { in.x[0][40] = kNan; }},
      {"infinity", [](reference::Inputs& in) { in.x[0][40] = kInfinity; }},
      {"only in rows that do not count", [](reference::Inputs& in) { in.x[1][3 * 6] = in.x[1][3 * 6 + 1] = 1000; }}};
  const std::unique_ptr<Device> cpu = make_cpu_device(1);
  for (LayerCase it : losses(7, 33)) {
    it.scalars.valid_rows = 5;
    for (const auto& [name, spoil] : spoils) {
      SCOPED_TRACE(name);
      reference::Inputs inputs = draw_inputs(it, Dtype::kF32, 1);
      spoil(inputs);
      const KernelRig::Run run = KernelRig(it, *make_cpu_kernels(), *cpu, Dtype::kF32, {}).run(inputs);
      EXPECT_EQ(run.outputs.control[kNonFinite], &name == &spoils.back().first ? 0 : 1);
      expect_as_on_cpu(it, spoil, {kCorrect, kValidRows, kNonFinite});
    }
  }
}

// ---- Conversions and sums

// Small multiples of 1/4, which every type holds; sums of some hundred thousand are exact in f32.
std::vector<float> exact_values(int64_t elements, int seed) {
  std::vector<float> values(static_cast<size_t>(elements));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((static_cast<int>(i % 100'003) * 7 + seed) % 33) / 4 - 4;
  }
  return values;
}

std::vector<std::byte> encoded(Dtype dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * static_cast<size_t>(size_of(dtype)));
  for (size_t i = 0; i < values.size(); ++i) {
    if (dtype == Dtype::kF32) reinterpret_cast<float*>(bytes.data())[i] = values[i];
    if (dtype == Dtype::kBF16) reinterpret_cast<uint16_t*>(bytes.data())[i] = f32_to_bf16(values[i]);
    if (dtype == Dtype::kF16) reinterpret_cast<uint16_t*>(bytes.data())[i] = f32_to_f16(values[i]);
  }
  return bytes;
}

constexpr Dtype kDtypes[] = {Dtype::kF32, Dtype::kBF16, Dtype::kF16};

TEST(ConversionCuda, ThereAndBack) {
  const CudaUnderTest cuda = cuda_under_test();
  constexpr Shape kShape{3, 5, 4, 17};
  const std::vector<float> x = exact_values(kShape.elements(), 1), dy = exact_values(kShape.elements(), 50);
  for (const Dtype from : kDtypes) {
    for (const Dtype to : kDtypes) {
      SCOPED_TRACE(std::string(to_string(from)) + " to " + to_string(to));
      const ValueType x_type{kShape, from}, y_type{kShape, to};
      const OnDevice<std::byte> x_data(*cuda.device, encoded(from, x)), dy_data(*cuda.device, encoded(to, dy)),
          y_data(*cuda.device, encoded(to, dy)), dx_data(*cuda.device, encoded(from, x));
      const std::unique_ptr<Kernel> kernel = cuda.kernels->make_conversion(x_type, y_type, true);
      KernelArgs args;
      args.x = {{x_data.data(), x_type}};
      args.y = {y_data.data(), y_type};
      args.dy = {dy_data.data(), y_type};
      args.dx = {{dx_data.data(), x_type}};
      kernel->bind(args);
      kernel->forward(cuda.device->compute());
      kernel->backward(0, cuda.device->compute());
      EXPECT_EQ(y_data.read(), encoded(to, x));
      EXPECT_EQ(dx_data.read(), encoded(from, dy));
    }
  }
  EXPECT_THROW(cuda.kernels->make_conversion({kShape, Dtype::kF32, {8}}, {kShape}, false), InternalError);
}

TEST(SumCuda, IsRoundedOnceForAnyNumberOfTerms) {
  const CudaUnderTest cuda = cuda_under_test();
  constexpr Shape kShape{1, 3, 3, 7};
  for (const Dtype dtype : kDtypes) {
    for (const int terms : {1, 2, 3, 64, 65, 130}) {
      SCOPED_TRACE(std::string(to_string(dtype)) + ", " + std::to_string(terms));
      const ValueType type{kShape, dtype};
      std::vector<OnDevice<std::byte>> x;
      std::vector<float> wanted(static_cast<size_t>(kShape.elements()));
      KernelArgs args;
      for (int term = 0; term < terms; ++term) {
        const std::vector<float> values = exact_values(kShape.elements(), 31 * term);
        for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += values[i];
        args.x.push_back({x.emplace_back(*cuda.device, encoded(dtype, values)).data(), type});
      }
      const OnDevice<std::byte> y(*cuda.device, encoded(dtype, wanted));
      const std::unique_ptr<Kernel> kernel = cuda.kernels->make_sum(type, terms);
      const Buffer workspace(cuda.device->allocator(), kernel->workspace_bytes());
      args.y = {y.data(), type};
      args.workspace = workspace.data();
      cuda.device->copy(y.data(), x[0].data(), type.bytes(), cuda.device->compute());
      kernel->bind(args);
      kernel->forward(cuda.device->compute());
      EXPECT_EQ(y.read(), encoded(dtype, wanted));
    }
  }
}

struct ColumnCase {
  Dtype dtype;
  int64_t rows, channels;
  bool gated, masks;
};

void expect_column_sums(const ColumnCase& it, Device& device) {
  const int64_t elements = it.rows * it.channels;
  std::vector<float> masked = exact_values(elements, 3);
  const std::vector<float> gate_values = exact_values(elements, 11);
  const OnDevice<std::byte> dy(device, encoded(it.dtype, masked)), gate(device, encoded(it.dtype, gate_values)),
      mask(device, encoded(it.dtype, gate_values));
  std::vector<float> sums(static_cast<size_t>(it.channels));
  for (size_t i = 0; i < masked.size(); ++i) {
    if (it.gated && !(gate_values[i] > 0)) masked[i] = 0;
    sums[i % sums.size()] += masked[i];
  }
  const OnDevice<float> found(device, std::vector<float>(sums.size(), kNan));
  const Buffer workspace(device.allocator(), column_sums_workspace(it.rows, it.channels));
  column_sums_cuda(it.dtype, it.rows, it.channels, dy.data(), it.gated ? gate.data() : nullptr,
                   it.masks ? mask.data() : nullptr, found.data(), workspace.data(), device.compute());
  EXPECT_EQ(found.read(), sums);
  EXPECT_EQ(mask.read(), encoded(it.dtype, it.masks ? masked : gate_values));
}

TEST(ColumnSumsCuda, AreExactWhereTheyCanBe) {
  const CudaUnderTest cuda = cuda_under_test();
  for_each_way([&](const std::string& way) {
    SCOPED_TRACE(way);
    for (const Dtype dtype : kDtypes) {
      for (const auto& [rows, channels] :
           {std::pair{1, 1}, {1, 40}, {5, 3}, {64, 300}, {129, 16}, {200, 17}, {700, 5}}) {
        for (const int flags : {0, 1, 3}) {
          SCOPED_TRACE(std::string(to_string(dtype)) + ", " + std::to_string(rows) + "x" + std::to_string(channels));
          expect_column_sums({dtype, rows, channels, (flags & 1) != 0, (flags & 2) != 0}, *cuda.device);
        }
      }
    }
  });
}

}  // namespace
}  // namespace convoy
