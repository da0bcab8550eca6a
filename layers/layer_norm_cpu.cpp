// Layer normalisation with own loops, in any layout: a row is the channels of a pixel, one segment where canonical,
// else one a block.  Sums are in 16 lanes, whatever the vectors of the processor, so that all get the same bits.
#include <algorithm>
#include <cmath>

#include "layers/group_norm.h"
#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kMostSlices = 64;  // of rows: each adds up its own gradient of the parameters

// What forward keeps of a row.  The mean is mean + rest: one f32 is too coarse where the deviation is far smaller.
struct Row {
  float mean, rest, one_over_std;
};

class LayerNormCpu : public CpuKernel {
 public:
  LayerNormCpu(const LayerNorm& layer, const CompileRequest& request)
      : epsilon_(layer.epsilon()), p_(planes(request.inputs[0])) {
    inputs_ = request.inputs;
    output_ = request.inputs[0];
    rows_ = int64_t{output_.shape.n} * p_.pixels;
    const bool dx = request.wants_dx[0], dw = request.wants_dw;
    if (request.mode != Mode::kTrain || !(dx || dw)) return;
    parts_ = {{"backward", dx ? std::vector{0} : std::vector<int>(), dw}};
    saved_ = {rows_ * static_cast<int64_t>(sizeof(Row))};
    slices_ = std::min(rows_, kMostSlices);
    if (dw) workspace_bytes_ = slices_ * 2 * p_.channels * static_cast<int64_t>(sizeof(float));
  }
  bool backward_reads_input(int) const override { return !parts_.empty(); }
  void forward(Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      forward_loop(args_.x[0].as<T>(), args_.y.as<T>(), saved_.empty() ? nullptr : static_cast<Row*>(args_.saved[0]));
    });
  }
  void backward(int, Stream&) override {
    with_elements(output_.dtype, [&](auto zero) {
      using T = decltype(zero);
      backward_loop(args_.x[0].as<T>(), args_.dy.as<T>(), static_cast<const Row*>(args_.saved[0]),
                    parts_[0].dx.empty() ? nullptr : args_.dx[0].as<T>());
    });
    if (parts_[0].dw) write_dw();
  }

 private:
  template <class T>
  void forward_loop(const T* x, T* y, Row* kept) const;
  template <class T>
  void backward_loop(const T* x, const T* dy, const Row* kept, T* dx) const;
  void write_dw() const;

  float epsilon_;
  Planes p_;
  int64_t rows_ = 0, slices_ = 1;
};

CONVOY_INLINE inline int64_t start_of(const Planes& p, int64_t row) {
  return (row / p.pixels * p.groups * p.pixels + row % p.pixels) * p.inner;
}

// Calls body(element, channel, channels) for all channels of the row that starts at `start`, kLanes at a time (then a
// constant) and what is left.
template <class Body>
CONVOY_INLINE inline void for_lanes(const Planes& p, int64_t start, const Body& body) {
  for (int64_t segment = 0; segment < p.groups; ++segment) {
    const int64_t at = start + segment * p.pixels * p.inner, first = segment * p.inner;
    const int64_t valid = p.channels - first < p.inner ? p.channels - first : p.inner;
    int64_t c = 0;
    for (; c + kLanes <= valid; c += kLanes) body(at + c, first + c, kLanes);
    if (c < valid) body(at + c, first + c, valid - c);
  }
}

// The padding behind the last channel of a blocked row.
template <class T>
CONVOY_INLINE inline void clear_padding(const Planes& p, int64_t start, T* to) {
  const int64_t last = start + (p.groups - 1) * p.pixels * p.inner;
  for (int64_t c = p.channels - (p.groups - 1) * p.inner; c < p.inner; ++c) store(to + last + c, 0.0F);
}

// In pairs: one after the other, each would wait for the last.
CONVOY_INLINE inline double total(const float* lanes) {
  double sums[kLanes / 2];
  for (int64_t i = 0; i < kLanes / 2; ++i) sums[i] = double{lanes[i]} + double{lanes[i + kLanes / 2]};
  for (int64_t width = kLanes / 4; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) sums[i] += sums[i + width];
  }
  return sums[0];
}

template <class T>
void LayerNormCpu::forward_loop(const T* x, T* y, Row* kept) const {
  const Planes p = p_;
  const auto channels = static_cast<double>(p.channels);
  const float *const weight = args_.w[0].as<float>(), *const bias = args_.w[1].as<float>();
  const double epsilon = epsilon_;
  for_ranges(rows_, std::max<int64_t>(1, kGrain / p.channels), [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = start_of(p, i);
      const float shift = load(x + start);
      float lanes[kLanes] = {};
      for_lanes(p, start, [&](int64_t at, int64_t, int64_t count) CONVOY_INLINE {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k) lanes[k] += load(x + at + k) - shift;
      });
      const double exact = shift + total(lanes) / channels;
      const auto mean = static_cast<float>(exact);
      const auto rest = static_cast<float>(exact - mean);
      float squares[kLanes] = {};
      for_lanes(p, start, [&](int64_t at, int64_t, int64_t count) CONVOY_INLINE {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k) {
          const float d = load(x + at + k) - mean - rest;
          squares[k] += d * d;
        }
      });
      const auto scale = static_cast<float>(1 / std::sqrt(total(squares) / channels + epsilon));
      if (kept != nullptr) kept[i] = {mean, rest, scale};
      for_lanes(p, start, [&](int64_t at, int64_t c, int64_t count) CONVOY_INLINE {
#pragma omp simd
        for (int64_t k = 0; k < count; ++k) {
          store(y + at + k, (load(x + at + k) - mean - rest) * scale * weight[c + k] + bias[c + k]);
        }
      });
      clear_padding(p, start, y);
    }
  });
}

// The workspace: by slice, dweight | dbias.
template <class T>
void LayerNormCpu::backward_loop(const T* x, const T* dy, const Row* kept, T* dx) const {
  const Planes p = p_;
  const auto channels = static_cast<double>(p.channels);
  const float* const weight = args_.w[0].as<float>();
  const bool dw = parts_[0].dw;
  float* const sums = static_cast<float*>(args_.workspace);
  const int64_t rows = rows_, slices = slices_;
  for_ranges(slices, 1, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t slice = begin; slice < end; ++slice) {
      float *const dweight = sums + slice * 2 * p.channels, *const dbias = dweight + p.channels;
      for (int64_t c = 0; dw && c < 2 * p.channels; ++c) dweight[c] = 0;
      for (int64_t i = rows * slice / slices; i < rows * (slice + 1) / slices; ++i) {
        const int64_t start = start_of(p, i);
        const float mean = kept[i].mean, rest = kept[i].rest, scale = kept[i].one_over_std;
        float sum[kLanes] = {}, product[kLanes] = {};
        for_lanes(p, start, [&](int64_t at, int64_t c, int64_t count) CONVOY_INLINE {
#pragma omp simd
          for (int64_t k = 0; k < count; ++k) {
            const float g = load(dy + at + k) * weight[c + k];
            sum[k] += g;
            product[k] += g * ((load(x + at + k) - mean - rest) * scale);
          }
        });
        if (dw) {
          for_lanes(p, start, [&](int64_t at, int64_t c, int64_t count) CONVOY_INLINE {
#pragma omp simd
            for (int64_t k = 0; k < count; ++k) {
              const float g = load(dy + at + k);
              dweight[c + k] += g * ((load(x + at + k) - mean - rest) * scale);
              dbias[c + k] += g;
            }
          });
        }
        if (dx == nullptr) continue;
        const auto a = static_cast<float>(total(sum) / channels), b = static_cast<float>(total(product) / channels);
        for_lanes(p, start, [&](int64_t at, int64_t c, int64_t count) CONVOY_INLINE {
#pragma omp simd
          for (int64_t k = 0; k < count; ++k) {
            const float normalized = (load(x + at + k) - mean - rest) * scale;
            store(dx + at + k, (load(dy + at + k) * weight[c + k] - a - normalized * b) * scale);
          }
        });
        clear_padding(p, start, dx);
      }
    }
  });
}

void LayerNormCpu::write_dw() const {
  const float* const sums = static_cast<float*>(args_.workspace);
  for (int64_t c = 0; c < 2 * p_.channels; ++c) {
    double sum = 0;
    for (int64_t slice = 0; slice < slices_; ++slice) sum += sums[slice * 2 * p_.channels + c];
    const bool bias = c >= p_.channels;
    args_.dw[bias ? 1 : 0].as<float>()[bias ? c - p_.channels : c] = static_cast<float>(sum);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const LayerNorm& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<LayerNormCpu>(layer, request);
}

}  // namespace convoy
