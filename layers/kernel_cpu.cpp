#include "layers/kernel_cpu.h"

namespace convoy {

void expect_activation(const ValueType& type) {
  if (type.dtype == Dtype::kF32 || type.dtype == Dtype::kBF16) return;
  throw Error(ExitCode::kConfig, std::string("expected f32 or bf16 activations, found ") + to_string(type.dtype) +
                                     "; images need a normalize layer first");
}

Planes planes(const ValueType& type) {
  const Shape& shape = type.shape;
  const int64_t pixels = int64_t{shape.h} * shape.w;
  if (type.layout.canonical()) return {shape.n, pixels, shape.c, 1, shape.c};
  const int64_t block = type.layout.channel_block;
  const int64_t groups = (shape.c + block - 1) / block;
  return {shape.n * groups, pixels, block, groups, shape.c};
}

}  // namespace convoy
