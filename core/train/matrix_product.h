// Products of matrices for optimizers, by the library of a device; make_cpu_products() and make_cuda_products() of
// layers/products.h make them.
#pragma once

#include <cstdint>
#include <memory>

#include "core/device/device.h"

namespace convoy {

// c [rows, columns] = a · b of f32 matrices, row by row; a is [rows, inner], or [inner, rows] where it is transposed, b
// [inner, columns] or [columns, inner].  Not both are transposed.
struct ProductSpec {
  int rows = 0, inner = 0, columns = 0;
  bool transposes_a = false, transposes_b = false;
  friend auto operator<=>(const ProductSpec&, const ProductSpec&) = default;
};

// Compiled for one spec.  Sums are in f32, in an order that depends on the spec, the library and its threads.
class MatrixProduct {
 public:
  virtual ~MatrixProduct() = default;
  virtual int64_t workspace_bytes() const = 0;
  virtual void run(const float* a, const float* b, float* c, void* workspace, Stream& stream) = 0;
};

class MatrixProducts {
 public:
  virtual ~MatrixProducts() = default;
  // Must not outlive this.  Throws Error(kUnavailable) where the library cannot.
  virtual std::unique_ptr<MatrixProduct> make(const ProductSpec& spec) const = 0;
};

}  // namespace convoy
