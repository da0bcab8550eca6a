#include "dist/rank_sum.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/base/simd.h"

namespace convoy {
namespace {

constexpr int64_t kBlock = 2048;  // elements; the sum and a few sources of a block stay in the L1 and L2 caches

using Pointers = std::span<std::byte* const>;

inline float widen(uint16_t bf16) { return bf16_to_f32(bf16); }
inline float widen(float value) { return value; }
inline uint32_t widen(uint32_t value) { return value; }

inline void narrow(float sum, uint16_t& to) { to = f32_to_bf16(sum); }

template <class T>
const T* at(const std::byte* base, int64_t element) {
  return reinterpret_cast<const T*>(base) + element;
}

template <class Element, class Sum>
void add_block(Sum* sum, Pointers sources, int64_t begin, int64_t n) {
  const Element* first = at<Element>(sources[0], begin);
  const Element* second = at<Element>(sources[1], begin);
  simd([=]() CONVOY_INLINE {
    for (int64_t i = 0; i < n; ++i) sum[i] = widen(first[i]) + widen(second[i]);
  });
  for (std::byte* source : sources.subspan(2)) {
    const Element* next = at<Element>(source, begin);
    simd([=]() CONVOY_INLINE {
      for (int64_t i = 0; i < n; ++i) sum[i] += widen(next[i]);
    });
  }
}

void store_block(const void* block, Pointers targets, int64_t offset_bytes, int64_t bytes) {
  for (std::byte* target : targets) std::memcpy(target + offset_bytes, block, static_cast<size_t>(bytes));
}

template <class Element, class Sum>
void sum_all(Pointers sources, Pointers targets, int64_t elements) {
  constexpr int64_t kSize = sizeof(Element);
  alignas(64) Sum sum[kBlock];
  alignas(64) Element narrowed[std::is_same_v<Element, Sum> ? 1 : kBlock];
  for (int64_t begin = 0; begin < elements; begin += kBlock) {
    const int64_t n = std::min(kBlock, elements - begin);
    add_block<Element>(sum, sources, begin, n);
    if constexpr (std::is_same_v<Element, Sum>) {
      store_block(sum, targets, begin * kSize, n * kSize);
    } else {
      const Sum* from = sum;
      Element* to = narrowed;
      simd([=]() CONVOY_INLINE {
        for (int64_t i = 0; i < n; ++i) narrow(from[i], to[i]);
      });
      store_block(narrowed, targets, begin * kSize, n * kSize);
    }
  }
}

}  // namespace

void sum_over_ranks(Dtype dtype, Pointers sources, Pointers targets, int64_t elements) {
  CHECK(!sources.empty());
  if (elements == 0) return;
  if (sources.size() == 1) {
    for (std::byte* target : targets) {
      if (target != sources[0]) std::memcpy(target, sources[0], static_cast<size_t>(elements * size_of(dtype)));
    }
    return;
  }
  switch (dtype) {
    case Dtype::kF32: return sum_all<float, float>(sources, targets, elements);
    case Dtype::kBF16: return sum_all<uint16_t, float>(sources, targets, elements);
    case Dtype::kI32: return sum_all<uint32_t, uint32_t>(sources, targets, elements);
    default: CHECK(false, "this dtype has no sum over ranks");
  }
}

}  // namespace convoy
