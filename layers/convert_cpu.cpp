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

class SumCpu : public CpuKernel {
 public:
  SumCpu(const ValueType& type, int terms) {
    CHECK(terms >= 1);
    inputs_.assign(static_cast<size_t>(terms), type);
    output_ = type;
  }
  void forward(Stream&) override;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_conversion(const ValueType& from, const ValueType& to, bool wants_dx) {
  expect_activation(from);
  expect_activation(to);
  return std::make_unique<ConversionCpu>(from, to, wants_dx);
}

}  // namespace convoy
