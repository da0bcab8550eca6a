// Copies in device memory that cudaMemcpyAsync cannot do; for *_cuda.* files.
#pragma once

#include "core/device/device.h"

namespace convoy {

// Between f32, bf16 and f16, to nearest even.
void convert_cuda(void* to, Dtype to_dtype, const void* from, Dtype from_dtype, int64_t elements, Stream& stream);

// to[i] = from[i]: rows of row_bytes bytes, which may be parts of longer rows.
struct RowCopy {
  void* to;
  int64_t to_stride;  // bytes from a row to the next
  const void* from;
  int64_t from_stride;
  int64_t rows, row_bytes;
};
void copy_rows_cuda(const RowCopy& it, Stream& stream);

}  // namespace convoy
