#include "layers/pad.h"

#include <algorithm>
#include <cstring>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

// Works on rows of planes, in any layout.
class PadCpu : public CpuKernel {
 public:
  PadCpu(const Pad& layer, const CompileRequest& request) : options_(layer.options()) {
    const ValueType& x = request.inputs[0];
    inputs_ = {x};
    output_ = {layer.shape(std::vector{x.shape}), x.dtype, x.layout};
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.dy.as<T>(), args_.dx[0].as<T>());
    });
  }

 private:
  static int64_t grain(int64_t row) { return std::max<int64_t>(1, kGrain / row); }

  template <class T>
  void forward_loop(const T* x, T* y) const {
    const Planes p = planes(output_);
    const int64_t height = output_.shape.h, width = output_.shape.w * p.inner;
    const int64_t in_height = inputs_[0].shape.h, in_width = inputs_[0].shape.w * p.inner;
    const int64_t top = options_.top, left = options_.left * p.inner;
    const float value = options_.value;
    for_ranges(p.outer * height, grain(width), [=](int64_t begin, int64_t end) CONVOY_INLINE {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t plane = row / height, from = row % height - top, valid = p.valid(plane);
        const bool inside = from >= 0 && from < in_height;
        T* const to = y + row * width;
        T *const image = to + (inside ? left : width), *const behind = inside ? image + in_width : to + width;
        fill(to, image, p.inner, valid, value);
        if (inside) std::memcpy(image, x + (plane * in_height + from) * in_width, sizeof(T) * in_width);
        fill(behind, to + width, p.inner, valid, value);
      }
    });
  }

  // `value` in the first `valid` of `inner` channels of the pixels [to, end), zero in the others.
  template <class T>
  CONVOY_INLINE static void fill(T* to, const T* end, int64_t inner, int64_t valid, float value) {
    for (; to < end; to += inner) {
      for (int64_t c = 0; c < inner; ++c) store(to + c, c < valid ? value : 0.0F);
    }
  }

  template <class T>
  void backward_loop(const T* dy, T* dx) const {
    const Planes p = planes(inputs_[0]);
    const int64_t height = inputs_[0].shape.h, width = inputs_[0].shape.w * p.inner;
    const int64_t out_height = output_.shape.h, out_width = output_.shape.w * p.inner;
    const T* const first = dy + options_.top * out_width + options_.left * p.inner;
    parallel_for(p.outer * height, grain(width), [=](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from = first + (row / height * out_height + row % height) * out_width;
        std::memcpy(dx + row * width, from, sizeof(T) * static_cast<size_t>(width));
      }
    });
  }

  PadOptions options_;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Pad& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<PadCpu>(layer, request);
}

}  // namespace convoy
