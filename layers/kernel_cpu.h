// What the CPU kernels share: how own loops look at memory.
#pragma once

#include "core/base/simd.h"
#include "core/base/threads.h"
#include "layers/kernel_base.h"

namespace convoy {

class CpuKernel : public KernelBase {
 public:
  std::string engine() const override { return "loops"; }
};

// Throws Error(kConfig) unless `type` is f32 or bf16.
void expect_activation(const ValueType& type);

// An activation as own loops see it: `outer` planes of `pixels` (h·w) pixels, each of `inner` neighbouring channels.
// Canonical: one plane an image.  Blocked: `groups` planes an image, the last with zeros behind the last channel.
struct Planes {
  int64_t outer, pixels, inner;
  int64_t groups;    // planes an image
  int64_t channels;  // without padding

  int64_t elements() const { return outer * pixels * inner; }
  int64_t first_channel(int64_t plane) const { return plane % groups * inner; }
  // Channels of a plane that are not padding.
  int64_t valid(int64_t plane) const { return std::min(inner, channels - first_channel(plane)); }
};
Planes planes(const ValueType& type);

// ---- Elements: f32 and bf16 (as uint16_t) read and written as f32

CONVOY_INLINE inline float load(const float* x) { return *x; }
CONVOY_INLINE inline float load(const uint16_t* x) { return bf16_to_f32(*x); }
CONVOY_INLINE inline void store(float* y, float value) { *y = value; }
CONVOY_INLINE inline void store(uint16_t* y, float value) { *y = f32_to_bf16(value); }

// Calls body with a value of the element type: with_elements(dtype, [&](auto zero) { using T = decltype(zero); … }).
template <class Body>
void with_elements(Dtype dtype, Body body) {
  if (dtype == Dtype::kBF16) return body(uint16_t{});
  CHECK(dtype == Dtype::kF32);
  body(0.0F);
}

// Calls body with the flags as constants: with_flags([&](auto add, auto relu) { if constexpr (add) … }, add, relu).
template <class Body>
void with_flags(Body body) {
  body();
}
template <class Body, class... Rest>
void with_flags(Body body, bool first, Rest... rest) {
  const auto with_first = [&](auto flag) { with_flags([&](auto... others) { body(flag, others...); }, rest...); };
  if (first) return with_first(std::true_type{});
  with_first(std::false_type{});
}

// Elements for which a second thread is worth waking.
inline constexpr int64_t kGrain = 1 << 14;

// Runs body(begin, end) over [0, n) on all threads, at the best SIMD level.  Requires: body is CONVOY_INLINE.
template <class Body>
void for_ranges(int64_t n, int64_t grain, const Body& body) {
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { simd([&]() CONVOY_INLINE { body(begin, end); }); });
}

// dx = dy where y > 0, else 0, over all elements of `type`, padding included: the gradient of a relu that gave y.
void relu_gradient(const ValueType& type, const void* y, const void* dy, void* dx);

}  // namespace convoy
