// What the program inserts by itself: conversions between any two types of a value, and sums of gradients.
#include <gtest/gtest.h>

#include <vector>

#include "layers/registry.h"
#include "tests/cases/elements.h"

namespace convoy {
namespace {

using reference::Array;

// Small multiples of 1/4: bf16 holds them, and sums of a few are exact.
Array exact_values(const Shape& shape, int seed) {
  Array result(shape);
  for (size_t i = 0; i < result.size(); ++i) result[i] = (static_cast<int>(i) * 7 + seed) % 101 / 4.0 - 12;
  return result;
}

// A tensor with memory, all NaN.
struct Owned {
  Owned(Device& device, const ValueType& type) : memory(device.allocator(), type.bytes()), tensor{memory.data(), type} {
    std::fill_n(memory.as<std::byte>(), memory.bytes(), std::byte{0xff});
  }
  Buffer memory;
  Tensor tensor;
};

std::vector<ValueType> all_types(const Shape& shape) {
  std::vector<ValueType> types;
  for (Dtype dtype : {Dtype::kF32, Dtype::kBF16}) {
    for (int block : {0, 8, 16}) types.push_back({shape, dtype, {block}});
  }
  return types;
}

const std::vector<Shape> kShapes = {{1, 1, 1, 1},  {2, 3, 5, 3},  {2, 5, 3, 8},   {3, 4, 4, 16},
                                    {2, 3, 3, 17}, {1, 7, 2, 33}, {4, 1, 1, 100}, {4, 23, 23, 17}};

void expect_values(const Tensor& found, const Array& wanted) {
  EXPECT_EQ(read(found).data, wanted.data);
  EXPECT_TRUE(padding_is_zero(found));
}

void convert_there_and_back(Device& device, const ValueType& from, const ValueType& to) {
  SCOPED_TRACE(to_string(from) + " to " + to_string(to));
  const Owned x(device, from), y(device, to), dy(device, to), dx(device, from);
  const Array values = exact_values(from.shape, 1), gradient = exact_values(from.shape, 50);
  write(x.tensor, values);
  write(dy.tensor, gradient);
  const std::unique_ptr<Kernel> kernel = make_cpu_kernels()->make_conversion(from, to, true);
  KernelArgs args;
  args.x = {x.tensor};
  args.y = y.tensor;
  args.dy = dy.tensor;
  args.dx = {dx.tensor};
  kernel->bind(args);
  kernel->forward(device.compute());
  ASSERT_EQ(kernel->backward_parts().size(), 1u);
  kernel->backward(0, device.compute());
  expect_values(y.tensor, values);
  expect_values(dx.tensor, gradient);
}

TEST(Conversion, KeepsEveryElementAndZeroesPadding) {
  for (int threads : {1, 2}) {
    const std::unique_ptr<Device> device = make_cpu_device(threads);
    for (const Shape& shape : kShapes) {
      for (const ValueType& from : all_types(shape)) {
        for (const ValueType& to : all_types(shape)) convert_there_and_back(*device, from, to);
      }
    }
  }
}

TEST(Conversion, HasNoBackwardWhereNoneIsWanted) {
  const Shape shape{2, 3, 3, 5};
  EXPECT_TRUE(make_cpu_kernels()->make_conversion({shape}, {shape, Dtype::kBF16}, false)->backward_parts().empty());
}

void sum_up(Device& device, const ValueType& type, int terms) {
  SCOPED_TRACE(std::to_string(terms) + " of " + to_string(type));
  std::vector<Owned> x;
  std::vector<Tensor> tensors;
  Array wanted(type.shape);
  for (int term = 0; term < terms; ++term) {
    const Array values = exact_values(type.shape, 30 * term);
    write(x.emplace_back(device, type).tensor, values);
    tensors.push_back(x.back().tensor);
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] += values[i];
  }
  const Owned y(device, type);
  const std::unique_ptr<Kernel> kernel = make_cpu_kernels()->make_sum(type, terms);
  KernelArgs args;
  args.x = tensors;
  args.y = y.tensor;
  kernel->bind(args);
  kernel->forward(device.compute());
  expect_values(y.tensor, wanted);
}

TEST(Sum, IsExactInAnyLayout) {
  for (int threads : {1, 2}) {
    const std::unique_ptr<Device> device = make_cpu_device(threads);
    for (const Shape& shape : kShapes) {
      for (const ValueType& type : all_types(shape)) {
        for (int terms : {1, 2, 3, 5}) sum_up(*device, type, terms);
      }
    }
  }
}

}  // namespace
}  // namespace convoy
