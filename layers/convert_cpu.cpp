#include "layers/convert_cpu.h"

#include <algorithm>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

// Channels that lie together in both layouts; at most a block.
constexpr int64_t kChunk = 8;

// to[n, pixel, c...] = from[n, pixel, c...] for one image, whatever the layouts; zeros in the padding of `to`.
template <class From, class To>
CONVOY_INLINE inline void convert_image(const Planes& p, const Planes& q, const From* from, To* to) {
  for (int64_t group = 0; group < q.groups; ++group) {
    for (int64_t pixel = 0; pixel < q.pixels; ++pixel) {
      To* target = to + (group * q.pixels + pixel) * q.inner;
      for (int64_t first = 0; first < q.inner; first += kChunk) {
        const int64_t c = group * q.inner + first;
        const int64_t room = q.inner - first < kChunk ? q.inner - first : kChunk;
        const int64_t left = p.channels - c;
        const int64_t valid = left < 0 ? 0 : left < room ? left : room;
        const From* source = from + (c / p.inner * p.pixels + pixel) * p.inner + c % p.inner;
        if (valid == kChunk) {
#pragma omp simd
          for (int64_t i = 0; i < kChunk; ++i) store(target + first + i, load(source + i));
        } else {
          for (int64_t i = 0; i < valid; ++i) store(target + first + i, load(source + i));
          for (int64_t i = valid; i < room; ++i) target[first + i] = To{};
        }
      }
    }
  }
}

void convert(const Tensor& from, const Tensor& to) {
  const Planes p = planes(from.type), q = planes(to.type);
  const int64_t from_image = p.groups * p.pixels * p.inner, to_image = q.groups * q.pixels * q.inner;
  with_elements(from.type.dtype, [&](auto from_zero) {
    with_elements(to.type.dtype, [&](auto to_zero) {
      const auto* x = from.as<decltype(from_zero)>();
      auto* y = to.as<decltype(to_zero)>();
      for_ranges(from.type.shape.n, std::max<int64_t>(1, kGrain / to_image),
                 [=](int64_t begin, int64_t end) CONVOY_INLINE {
                   for (int64_t n = begin; n < end; ++n) convert_image(p, q, x + n * from_image, y + n * to_image);
                 });
    });
  });
}

class ConversionCpu : public CpuKernel {
 public:
  ConversionCpu(const ValueType& from, const ValueType& to, bool wants_dx) {
    CHECK(from.shape == to.shape);
    inputs_ = {from};
    output_ = to;
    if (wants_dx) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream&) override { convert(args_.x[0], args_.y); }
  void backward(int, Stream&) override { convert(args_.dy, args_.dx[0]); }
};

// Elements of a sum that stay in f32, and in the first-level cache, until they are rounded.
constexpr int64_t kSumChunk = 512;

template <class T>
void sum(const std::vector<Tensor>& terms, const Tensor& y) {
  const Tensor* x = terms.data();
  const auto count = static_cast<int64_t>(terms.size());
  T* to = y.as<T>();
  for_ranges(planes(y.type).elements(), kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    float total[kSumChunk];
    for (int64_t first = begin; first < end; first += kSumChunk) {
      const int64_t n = end - first < kSumChunk ? end - first : kSumChunk;
      const T* term = x[0].as<T>() + first;
      for (int64_t i = 0; i < n; ++i) total[i] = load(term + i);
      for (int64_t k = 1; k < count; ++k) {
        term = x[k].as<T>() + first;
        for (int64_t i = 0; i < n; ++i) total[i] += load(term + i);
      }
      for (int64_t i = 0; i < n; ++i) store(to + first + i, total[i]);
    }
  });
}

class SumCpu : public CpuKernel {
 public:
  SumCpu(const ValueType& type, int terms) {
    CHECK(terms >= 1);
    inputs_.assign(static_cast<size_t>(terms), type);
    output_ = type;
  }
  bool dx_is_dy(int) const override { return true; }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) { sum<decltype(zero)>(args_.x, args_.y); });
  }
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_conversion(const ValueType& from, const ValueType& to, bool wants_dx) {
  expect_activation(from);
  expect_activation(to);
  return std::make_unique<ConversionCpu>(from, to, wants_dx);
}

std::unique_ptr<Kernel> make_cpu_sum(const ValueType& type, int terms) {
  expect_activation(type);
  return std::make_unique<SumCpu>(type, terms);
}

}  // namespace convoy
