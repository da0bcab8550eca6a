#include "layers/normalize.h"

#include <algorithm>

#include "core/base/simd.h"
#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

class NormalizeCpu : public CpuKernel {
 public:
  NormalizeCpu(const Normalize& layer, const CompileRequest& request) : bgr_(layer.bgr()) {
    inputs_ = {{request.inputs[0].shape, Dtype::kU8}};
    output_ = {request.inputs[0].shape, request.compute};
    for (int i = 0; i < kPixels * output_.shape.c; ++i) {
      mean_.push_back(layer.mean(i % output_.shape.c));
      std_.push_back(layer.std(i % output_.shape.c));
    }
  }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) { run(args_.y.as<decltype(zero)>()); });
  }

 private:
  template <class T>
  void run(T* y) const {
    const uint8_t* x = args_.x[0].as<uint8_t>();
    const auto block = static_cast<int64_t>(mean_.size());
    parallel_for(output_.shape.elements() / output_.shape.c, kGrain / output_.shape.c, [&](int64_t begin, int64_t end) {
      const int64_t last = end * output_.shape.c;
      for (int64_t i = begin * output_.shape.c; i < last; i += block) {
        const int64_t count = std::min(block, last - i);
        const uint8_t* from = x + i;
        uint8_t turned[3 * kPixels];
        if (bgr_) from = turn_around(from, count, turned);
        simd([=, mean = mean_.data(), std = std_.data()]() CONVOY_INLINE { normalize(y + i, from, mean, std, count); });
      }
    });
  }

  template <class T>
  static CONVOY_INLINE void normalize(T* __restrict y, const uint8_t* __restrict x, const float* __restrict mean,
                                      const float* __restrict std, int64_t count) {
    for (int64_t i = 0; i < count; ++i) store(y + i, (static_cast<float>(x[i]) / 255.0F - mean[i]) / std[i]);
  }

  // RGB as BGR; returns `to`.
  static const uint8_t* turn_around(const uint8_t* from, int64_t count, uint8_t* to) {
    for (int64_t i = 0; i < count; i += 3) {
      to[i] = from[i + 2];
      to[i + 1] = from[i + 1];
      to[i + 2] = from[i];
    }
    return to;
  }

  // Of a block of pixels, so that whichever the channels are, a loop over a block needs no table but these.
  static constexpr int kPixels = 256;
  std::vector<float> mean_, std_;  // [kPixels,C]
  bool bgr_;
};

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Normalize& layer, const CompileRequest& request) {
  if (request.inputs[0].dtype != Dtype::kU8) {
    throw Error(ExitCode::kConfig, std::string("expected u8 pixels, found ") + to_string(request.inputs[0].dtype));
  }
  return std::make_unique<NormalizeCpu>(layer, request);
}

}  // namespace convoy
