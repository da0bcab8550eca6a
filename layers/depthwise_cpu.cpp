// The images are cut into slices, whatever the number of threads.  A slice adds up one chunk of channels at a time, in
// f32 by rows; the slices are added up in double.
#include "layers/depthwise_cpu.h"

#include <algorithm>

namespace convoy {
namespace {

constexpr int64_t kLanes = 16;       // channels in registers
constexpr int64_t kMostSlices = 32;  // bounds the workspace
constexpr int kStrip = 5;            // neighbouring places of a window whose sums stay in registers

// The columns q of dy for which place k of the window lies in the row of x.
struct Columns {
  int begin, end;
};
CONVOY_INLINE inline Columns columns_of(const WindowAxis& w, int k) {
  const int start = k * w.dilation - w.low, last = w.input - 1 - start;
  const int begin = start >= 0 ? 0 : (-start + w.stride - 1) / w.stride;
  const int end = last < 0 ? 0 : last / w.stride + 1;
  return {begin, end < w.output ? end : w.output};
}

// sums[i] += Σ q  dy[q] · x[q · stride + i · dilation - low] for the kTaps places from `first` on, in one row.  Pixels
// of x and dy are `inner` elements apart.
template <int kTaps, class T>
CONVOY_INLINE inline void add_row(const WindowAxis& w, int first, const T* x, const T* dy, int64_t inner, int64_t lanes,
                                  float* sums) {
  float s[kTaps][kLanes];
  for (int i = 0; i < kTaps; ++i) {
    for (int64_t c = 0; c < kLanes; ++c) s[i][c] = 0;
  }
  const auto add = [&](int i, int q) CONVOY_INLINE {
    const T* from = x + (int64_t{q} * w.stride + (first + i) * w.dilation - w.low) * inner;
#pragma omp simd
    for (int64_t c = 0; c < lanes; ++c) s[i][c] += load(dy + q * inner + c) * load(from + c);
  };
  // Where all places lie in the row, and on both sides of that where only some do.
  int begin = 0, end = w.output;
  for (int i = 0; i < kTaps; ++i) {
    const Columns of = columns_of(w, first + i);
    begin = of.begin > begin ? of.begin : begin;
    end = of.end < end ? of.end : end;
  }
  end = end < begin ? begin : end;
  for (int i = 0; i < kTaps; ++i) {
    const Columns of = columns_of(w, first + i);
    for (int q = of.begin; q < begin && q < of.end; ++q) add(i, q);
    for (int q = of.begin > end ? of.begin : end; q < of.end; ++q) add(i, q);
  }
  const int64_t step = w.stride * inner, apart = w.dilation * inner;
  const T* from = x + (int64_t{begin} * w.stride + first * w.dilation - w.low) * inner;
  for (int q = begin; q < end; ++q, from += step) {
    for (int i = 0; i < kTaps; ++i) {
#pragma omp simd
      for (int64_t c = 0; c < lanes; ++c) s[i][c] += load(dy + q * inner + c) * load(from + i * apart + c);
    }
  }
  for (int i = 0; i < kTaps; ++i) {
    for (int64_t c = 0; c < lanes; ++c) sums[i * kLanes + c] += s[i][c];
  }
}

template <class T>
CONVOY_INLINE inline void add_taps(int taps, const WindowAxis& w, int first, const T* x, const T* dy, int64_t inner,
                                   int64_t lanes, float* sums) {
  switch (taps) {
    case 1: return add_row<1>(w, first, x, dy, inner, lanes, sums);
    case 2: return add_row<2>(w, first, x, dy, inner, lanes, sums);
    case 3: return add_row<3>(w, first, x, dy, inner, lanes, sums);
    case 4: return add_row<4>(w, first, x, dy, inner, lanes, sums);
    default: return add_row<kStrip>(w, first, x, dy, inner, lanes, sums);
  }
}

}  // namespace

DepthwiseWeights::DepthwiseWeights(const ValueType& x, const ValueType& y, const WindowAxes& axes)
    : dtype_(x.dtype),
      x_(planes(x)),
      y_(planes(y)),
      h_(axes.h),
      w_(axes.w),
      chunks_((x_.inner + kLanes - 1) / kLanes * x_.groups),
      slices_(std::min<int64_t>(x.shape.n, kMostSlices)),
      places_(int64_t{h_.kernel} * w_.kernel + 1) {
  CHECK(x.layout == y.layout && x_.channels == y_.channels);
}

int64_t DepthwiseWeights::workspace_bytes() const {
  return slices_ * chunks_ * places_ * kLanes * static_cast<int64_t>(sizeof(float));
}

void DepthwiseWeights::run(const void* x, const void* dy, float* dw, float* dbias, void* workspace) const {
  auto* const sums = static_cast<float*>(workspace);
  with_elements(dtype_, [&](auto zero) {
    using T = decltype(zero);
    add_up(static_cast<const T*>(x), static_cast<const T*>(dy), sums);
  });
  write(sums, dw, dbias);
}

// sums [slice, chunk, place, lane].
template <class T>
void DepthwiseWeights::add_up(const T* x, const T* dy, float* sums) const {
  const DepthwiseWeights it = *this;
  const int64_t images = x_.outer / x_.groups, of_plane = chunks_ / x_.groups;
  for_ranges(slices_ * chunks_, 1, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    const WindowAxis h = it.h_, w = it.w_;
    const int64_t inner = it.x_.inner;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t slice = task / it.chunks_, chunk = task % it.chunks_;
      const int64_t first = chunk % of_plane * kLanes, left = inner - first;
      float* const to = sums + task * it.places_ * kLanes;
      for (int64_t i = 0; i < it.places_ * kLanes; ++i) to[i] = 0;
      for (int64_t n = images * slice / it.slices_; n < images * (slice + 1) / it.slices_; ++n) {
        const int64_t plane = n * it.x_.groups + chunk / of_plane;
        const T* const image = x + plane * it.x_.pixels * inner + first;
        const T* row = dy + plane * it.y_.pixels * inner + first;
        for (int p = 0; p < h.output; ++p, row += w.output * inner) {
          const auto rows = [&](int64_t lanes) CONVOY_INLINE {
            for (int r = 0; r < h.kernel; ++r) {
              const int from = p * h.stride - h.low + r * h.dilation;
              if (from < 0 || from >= h.input) continue;
              for (int s = 0; s < w.kernel; s += kStrip) {
                const int taps = w.kernel - s < kStrip ? w.kernel - s : kStrip;
                add_taps(taps, w, s, image + int64_t{from} * w.input * inner, row, inner, lanes,
                         to + (int64_t{r} * w.kernel + s) * kLanes);
              }
            }
            float bias[kLanes] = {};
            for (int q = 0; q < w.output; ++q) {
#pragma omp simd
              for (int64_t c = 0; c < lanes; ++c) bias[c] += load(row + q * inner + c);
            }
            float* const sum = to + (it.places_ - 1) * kLanes;
            for (int64_t c = 0; c < lanes; ++c) sum[c] += bias[c];
          };
          // A constant number of lanes is what the compiler keeps in registers.
          if (left >= kLanes)
            rows(kLanes);
          else
            rows(left);
        }
      }
    }
  });
}

void DepthwiseWeights::write(const float* sums, float* dw, float* dbias) const {
  const int64_t of_plane = chunks_ / x_.groups, places = places_;
  for (int64_t channel = 0; channel < x_.channels; ++channel) {
    const int64_t group = channel / x_.inner, lane = channel % x_.inner;
    const float* of = sums + (group * of_plane + lane / kLanes) * places * kLanes + lane % kLanes;
    for (int64_t place = 0; place < places; ++place) {
      double sum = 0;
      for (int64_t slice = 0; slice < slices_; ++slice) sum += of[(slice * chunks_ * places + place) * kLanes];
      if (place < places - 1) {
        dw[channel * (places - 1) + place] = static_cast<float>(sum);
      } else if (dbias != nullptr) {
        dbias[channel] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace convoy
