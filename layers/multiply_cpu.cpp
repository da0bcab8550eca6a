#include "layers/multiply.h"

#include "layers/chunks_cpu.h"

namespace convoy {
namespace {

// y = a · b.
template <class T>
void product(int64_t elements, const T* a, const T* b, T* y) {
  for_ranges(elements, kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) store(y + i, load(a + i) * load(b + i));
  });
}

// y = x · factors [N,1,1,C], which are canonical.
template <class T>
void scaled(const Planes& p, const T* x, const T* factors, T* y) {
  for_ranges(p.outer * p.pixels, std::max<int64_t>(1, kGrain / p.inner), [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / p.pixels, valid = p.valid(plane);
      const T *from = x + i * p.inner, *by = factors + plane / p.groups * p.channels + p.first_channel(plane);
      T* to = y + i * p.inner;
#pragma omp simd
      for (int64_t c = 0; c < valid; ++c) store(to + c, load(from + c) * load(by + c));
      for (int64_t c = valid; c < p.inner; ++c) to[c] = T{};
    }
  });
}

// sums [N,1,1,C] = Σ a · b over the pixels.
template <class T>
void product_sums(const Planes& p, const T* a, const T* b, T* sums) {
  for_chunks(p, [=](int64_t plane, int64_t first, int64_t lanes) CONVOY_INLINE {
    const int64_t offset = plane * p.pixels * p.inner + first;
    const T *from_a = a + offset, *from_b = b + offset;
    float sum[kLanes] = {};
    for (int64_t pixel = 0; pixel < p.pixels; ++pixel, from_a += p.inner, from_b += p.inner) {
#pragma omp simd
      for (int64_t c = 0; c < lanes; ++c) sum[c] += load(from_a + c) * load(from_b + c);
    }
    const int64_t channel = p.first_channel(plane) + first;
    T* to = sums + plane / p.groups * p.channels + channel;
    for (int64_t c = 0; c < lanes && channel + c < p.channels; ++c) store(to + c, sum[c]);
  });
}

class MultiplyCpu : public CpuKernel {
 public:
  explicit MultiplyCpu(const CompileRequest& request)
      : broadcasts_(request.inputs[1].shape != request.inputs[0].shape) {
    output_ = request.inputs[0];
    inputs_ = {output_, output_};
    if (broadcasts_) inputs_[1] = {request.inputs[1].shape, output_.dtype};
    BackwardPart part{"backward", {}, false};
    for (int i = 0; i < 2; ++i) {
      if (request.wants_dx[static_cast<size_t>(i)]) part.dx.push_back(i);
    }
    if (request.mode == Mode::kTrain && !part.dx.empty()) parts_ = {part};
  }
  bool backward_reads_input(int input) const override { return wants_dx(1 - input); }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) { by_second<decltype(zero)>(args_.x[0], args_.y); });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      const Planes p = planes(output_);
      if (wants_dx(0)) by_second<T>(args_.dy, args_.dx[0]);
      if (!wants_dx(1)) return;
      const T *dy = args_.dy.as<T>(), *x = args_.x[0].as<T>();
      T* dx = args_.dx[1].as<T>();
      broadcasts_ ? product_sums(p, dy, x, dx) : product(p.elements(), dy, x, dx);
    });
  }

 private:
  bool wants_dx(int input) const { return !parts_.empty() && std::ranges::count(parts_[0].dx, input) > 0; }

  // to = from · x[1].
  template <class T>
  void by_second(const Tensor& from, const Tensor& to) const {
    const Planes p = planes(output_);
    const T *x = from.as<T>(), *factors = args_.x[1].as<T>();
    broadcasts_ ? scaled(p, x, factors, to.as<T>()) : product(p.elements(), x, factors, to.as<T>());
  }

  bool broadcasts_;  // x[1] is [N,1,1,C]
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Multiply&, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<MultiplyCpu>(request);
}

}  // namespace convoy
