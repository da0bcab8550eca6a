#include "tests/cases/elements.h"

#include <cstring>

namespace convoy {
namespace {

using reference::Array;

// `type` with its padding channels made visible: a canonical shape of as many elements as lie in memory.
Shape padded_shape(const ValueType& type) {
  Shape shape = type.shape;
  const int block = type.layout.channel_block;
  if (block != 0) shape.c = (shape.c + block - 1) / block * block;
  return shape;
}

// Calls body(position in memory, n, h, w, c) for every element, padding included.
template <class Body>
void for_each_element(const ValueType& type, Body body) {
  const Shape shape = padded_shape(type);
  const int block = type.layout.channel_block == 0 ? shape.c : type.layout.channel_block;
  int64_t position = 0;
  for (int n = 0; n < shape.n; ++n)
    for (int first = 0; first < shape.c; first += block)
      for (int h = 0; h < shape.h; ++h)
        for (int w = 0; w < shape.w; ++w)
          for (int c = first; c < first + block; ++c) body(position++, n, h, w, c);
}

double read_element(const Tensor& tensor, int64_t position) {
  switch (tensor.type.dtype) {
    case Dtype::kF32: return tensor.as<float>()[position];
    case Dtype::kBF16: return bf16_to_f32(tensor.as<uint16_t>()[position]);
    case Dtype::kU8: return tensor.as<uint8_t>()[position];
    case Dtype::kI32: return tensor.as<int32_t>()[position];
    case Dtype::kF16: return f16_to_f32(tensor.as<uint16_t>()[position]);
  }
  return 0;
}

void write_element(const Tensor& tensor, int64_t position, double value) {
  switch (tensor.type.dtype) {
    case Dtype::kF32: tensor.as<float>()[position] = static_cast<float>(value); return;
    case Dtype::kBF16: tensor.as<uint16_t>()[position] = f32_to_bf16(static_cast<float>(value)); return;
    case Dtype::kU8: tensor.as<uint8_t>()[position] = static_cast<uint8_t>(value); return;
    case Dtype::kI32: tensor.as<int32_t>()[position] = static_cast<int32_t>(value); return;
    case Dtype::kF16: tensor.as<uint16_t>()[position] = f32_to_f16(static_cast<float>(value)); return;
  }
}

}  // namespace

void write(const Tensor& tensor, const Array& values) {
  CHECK(values.shape == tensor.type.shape);
  std::memset(tensor.data, 0, static_cast<size_t>(tensor.type.bytes()));
  for_each_element(tensor.type, [&](int64_t position, int n, int h, int w, int c) {
    if (c < values.shape.c) write_element(tensor, position, values[values.index(n, h, w, c)]);
  });
}

Array read(const Tensor& tensor) {
  Array values(tensor.type.shape);
  for_each_element(tensor.type, [&](int64_t position, int n, int h, int w, int c) {
    if (c < values.shape.c) values[values.index(n, h, w, c)] = read_element(tensor, position);
  });
  return values;
}

bool padding_is_zero(const Tensor& tensor) {
  bool zero = true;
  for_each_element(tensor.type, [&](int64_t position, int, int, int, int c) {
    if (c >= tensor.type.shape.c) zero &= read_element(tensor, position) == 0;
  });
  return zero;
}

}  // namespace convoy
