#include "core/device/types.h"

namespace convoy {

const char* to_string(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return "f32";
    case Dtype::kBF16: return "bf16";
    case Dtype::kF16: return "f16";
    case Dtype::kU8: return "u8";
    case Dtype::kI32: return "i32";
  }
  return "?";
}

std::string to_string(const Shape& shape) {
  return std::to_string(shape.n) + "x" + std::to_string(shape.h) + "x" + std::to_string(shape.w) + "x" +
         std::to_string(shape.c);
}

std::string to_string(Layout layout) {
  return layout.canonical() ? "nhwc" : "nChw" + std::to_string(layout.channel_block) + "c";
}

std::string to_string(const ValueType& type) {
  return to_string(type.shape) + " " + to_string(type.dtype) + " " + to_string(type.layout);
}

}  // namespace convoy
