#include "core/io/dims.h"

namespace convoy {

std::string dims_text(std::span<const int64_t> dims) {
  std::string text;
  for (const int64_t dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text.empty() ? "scalar" : text;
}

std::optional<int64_t> dims_product(int64_t first, std::span<const int64_t> dims) {
  int64_t product = first;
  for (const int64_t dim : dims)
    if (__builtin_mul_overflow(product, dim, &product)) return {};
  return product;
}

}  // namespace convoy
