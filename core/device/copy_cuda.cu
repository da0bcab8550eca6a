#include "core/device/copy_cuda.h"

#include <type_traits>

#include "core/device/for_each_cuda.h"

namespace convoy {
namespace {

template <class From, class To>
struct Convert {
  const From* x;
  To* y;
  template <int N>
  __device__ void run(int64_t i) const {
    const Pack<From, N> from = load<N>(x + i);
    Pack<To, N> to;
    for (int k = 0; k < N; ++k) to.at[k] = from_float<To>(to_float(from.at[k]));
    store(y + i, to);
  }
};

// In units of `Unit`; element i is unit i of all rows put together.
template <class Unit>
struct CopyRows {
  Unit* to;
  const Unit* from;
  int64_t to_stride, from_stride, row_units;
  template <int>
  __device__ void run(int64_t i) const {
    const int64_t row = i / row_units, unit = i % row_units;
    to[row * to_stride + unit] = from[row * from_stride + unit];
  }
};

template <int kBytes>
bool copy_rows_of(const RowCopy& it, Stream& stream) {
  using Unit = Pack<uint8_t, kBytes>;
  const auto units = [](int64_t bytes) { return bytes / kBytes; };
  const auto fits = [](auto... bytes) { return ((static_cast<uint64_t>(bytes) % kBytes == 0) && ...); };
  if (!fits(reinterpret_cast<uintptr_t>(it.to), reinterpret_cast<uintptr_t>(it.from), it.to_stride, it.from_stride,
            it.row_bytes)) {
    return false;
  }
  const CopyRows<Unit> op{static_cast<Unit*>(it.to), static_cast<const Unit*>(it.from), units(it.to_stride),
                          units(it.from_stride), units(it.row_bytes)};
  for_each<1>(op, it.rows * op.row_units, true, stream);
  return true;
}

}  // namespace

void convert_cuda(void* to, Dtype to_dtype, const void* from, Dtype from_dtype, int64_t elements, Stream& stream) {
  if (to_dtype == from_dtype) {
    check(cudaMemcpyAsync(to, from, static_cast<size_t>(elements * size_of(to_dtype)), cudaMemcpyDeviceToDevice,
                          cuda_stream(stream)));
    return;
  }
  with_elements_cuda(from_dtype, [&](auto from_zero) {
    with_elements_cuda(to_dtype, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      if constexpr (!std::is_same_v<From, To>) {
        constexpr int kN = std::min(kPack<From>, kPack<To>);
        const Convert<From, To> op{static_cast<const From*>(from), static_cast<To*>(to)};
        for_each<kN>(op, elements, aligned<kN>(op.x, op.y), stream);
      }
    });
  });
}

void copy_rows_cuda(const RowCopy& it, Stream& stream) {
  copy_rows_of<16>(it, stream) || copy_rows_of<4>(it, stream) || copy_rows_of<2>(it, stream) ||
      copy_rows_of<1>(it, stream);
}

}  // namespace convoy
