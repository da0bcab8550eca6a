// Canonical, a pixel at a time.  Backward computes the sums once more, which is cheaper than keeping them.
#include "layers/lrn.h"

#include <algorithm>
#include <cmath>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

constexpr int64_t kMostSlices = 64;  // of pixels, each with scratch memory of its own

constexpr int64_t kScratchRows = 3;

class LrnCpu : public CpuKernel {
 public:
  LrnCpu(const Lrn& layer, const CompileRequest& request) : options_(layer.options()) {
    inputs_ = {{request.inputs[0].shape, request.inputs[0].dtype}};
    output_ = inputs_[0];
    pixels_ = output_.shape.elements() / output_.shape.c;
    slices_ = std::min(pixels_, kMostSlices);
    workspace_bytes_ = slices_ * kScratchRows * output_.shape.c * static_cast<int64_t>(sizeof(float));
    if (request.mode == Mode::kTrain && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int) const override { return true; }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>());
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.x[0].as<T>(), args_.dy.as<T>(), args_.dx[0].as<T>());
    });
  }

 private:
  template <class T>
  void forward_loop(const T* x, T* y) const;
  template <class T>
  void backward_loop(const T* x, const T* dy, T* dx) const;
  template <class Body>
  void for_pixels(const Body& body) const;

  LrnOptions options_;
  int64_t pixels_ = 0, slices_ = 1;
};

// Calls body(first element of a pixel, scratch [kScratchRows, channels]) for all pixels.
template <class Body>
void LrnCpu::for_pixels(const Body& body) const {
  const int64_t pixels = pixels_, slices = slices_, channels = output_.shape.c;
  auto* const scratch = static_cast<float*>(args_.workspace);
  const int64_t grain = std::max<int64_t>(1, kGrain / (pixels / slices * channels));
  for_ranges(slices, grain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t slice = begin; slice < end; ++slice) {
      for (int64_t i = pixels * slice / slices; i < pixels * (slice + 1) / slices; ++i) {
        body(i * channels, scratch + slice * kScratchRows * channels);
      }
    }
  });
}

// sums[c] += Σ values[j] over the window of c, which reaches from c - before to c + behind.
CONVOY_INLINE inline void add_windows(const float* __restrict values, int64_t channels, int64_t before, int64_t behind,
                                      float* __restrict sums) {
  for (int64_t off = -before; off <= behind; ++off) {
    const int64_t end = off > 0 ? channels - off : channels;
    for (int64_t c = off < 0 ? -off : 0; c < end; ++c) sums[c] += values[c + off];
  }
}

// power[c] = sums[c]^-beta.
CONVOY_INLINE inline void powers(const float* sums, int64_t channels, float beta, float* power) {
  if (beta == 0.75F) {  // what all networks use: no pow(), which would be most of the time
    for (int64_t c = 0; c < channels; ++c) {
      const float root = std::sqrt(sums[c]);
      power[c] = 1 / (root * std::sqrt(root));
    }
  } else {
    for (int64_t c = 0; c < channels; ++c) power[c] = std::pow(sums[c], -beta);
  }
}

template <class T>
void LrnCpu::forward_loop(const T* x, T* y) const {
  const int64_t channels = output_.shape.c, before = options_.size / 2, behind = (options_.size - 1) / 2;
  const float scale = options_.alpha / static_cast<float>(options_.size), k = options_.k, beta = options_.beta;
  for_pixels([=](int64_t at, float* scratch) CONVOY_INLINE {
    float *const squares = scratch, *const sums = scratch + channels;
    for (int64_t c = 0; c < channels; ++c) squares[c] = scale * load(x + at + c) * load(x + at + c);
    for (int64_t c = 0; c < channels; ++c) sums[c] = k;
    add_windows(squares, channels, before, behind, sums);
    powers(sums, channels, beta, squares);
    for (int64_t c = 0; c < channels; ++c) store(y + at + c, load(x + at + c) * squares[c]);
  });
}

// dx[c] = dy[c] · s[c]^-beta - 2 · alpha · beta / size · x[c] · Σ dy[j] · x[j] · s[j]^(-beta - 1)   over the j whose
// windows contain c
template <class T>
void LrnCpu::backward_loop(const T* x, const T* dy, T* dx) const {
  const int64_t channels = output_.shape.c, before = options_.size / 2, behind = (options_.size - 1) / 2;
  const float scale = options_.alpha / static_cast<float>(options_.size), k = options_.k, beta = options_.beta;
  const float factor = 2 * scale * beta;
  for_pixels([=](int64_t at, float* scratch) CONVOY_INLINE {
    float *const a = scratch, *const b = scratch + channels, *const sums = scratch + 2 * channels;
    for (int64_t c = 0; c < channels; ++c) a[c] = scale * load(x + at + c) * load(x + at + c);
    for (int64_t c = 0; c < channels; ++c) b[c] = k;
    add_windows(a, channels, before, behind, b);
    powers(b, channels, beta, a);
    for (int64_t c = 0; c < channels; ++c) {
      const float of_y = load(dy + at + c) * a[c];  // dy · s^-beta
      a[c] = of_y * load(x + at + c) / b[c];
      b[c] = of_y;
    }
    for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
    add_windows(a, channels, behind, before, sums);
    for (int64_t c = 0; c < channels; ++c) store(dx + at + c, b[c] - factor * load(x + at + c) * sums[c]);
  });
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Lrn& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<LrnCpu>(layer, request);
}

}  // namespace convoy
