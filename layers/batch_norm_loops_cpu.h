// The loops of batch_norm over memory, in any layout.
//
// Channels that lie together are a group: all of them where canonical, else a block.  A group's memory is one run where
// canonical, else one run an image; runs are cut into units.  A unit is looked at as rows of `width` columns, width
// being a multiple of the group's channels, so that rows fill vectors: column i has channel i % channels of the group.
// What is known per channel is a table with one entry a column.
#pragma once

#include <numeric>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "layers/kernel_cpu.h"

namespace convoy::batch_norm {

// Columns whose sums and table stay in registers.  The loops over them are marked `omp simd`: else gcc unrolls them
// before it looks for vectors, and finds none.
constexpr int64_t kTile = 16;

struct Units {
  explicit Units(const ValueType& type);

  int64_t groups, channels;  // channels of a group, padding included
  int64_t runs, run;         // runs of a group, elements of a run
  int64_t width, unit;       // elements of a row, of a unit
  int64_t per_run;           // units of a run; the last may be shorter

  int64_t per_group() const { return runs * per_run; }
  // Of a unit of the group, units being numbered in the order of memory.
  CONVOY_INLINE int64_t offset(int64_t group, int64_t index) const {
    return (index / per_run * groups + group) * run + index % per_run * unit;
  }
  CONVOY_INLINE int64_t length(int64_t index) const {
    const int64_t left = run - index % per_run * unit;
    return left < unit ? left : unit;
  }
};

inline Units::Units(const ValueType& type) {
  constexpr int64_t kRows = 64;  // few enough to add up in f32; the sums of units are added up in double
  const Planes p = planes(type);
  groups = p.groups;
  channels = p.inner;
  runs = type.layout.canonical() ? 1 : type.shape.n;
  run = p.elements() / (groups * runs);
  width = channels < 4 * kTile ? std::lcm(channels, kTile) : channels;
  unit = kRows * width;
  per_run = (run + unit - 1) / unit;
}

// ---- Over one unit

// Calls body(offset of its first element, first column, rows, columns) for tiles that cover a unit.  Where columns is
// kTile, it is a constant there.
template <class Body>
CONVOY_INLINE inline void for_tiles(int64_t length, int64_t width, const Body& body) {
  const int64_t rows = length / width, rest = length % width;
  const int64_t strip = width == kTile ? rows : 8;  // rows that are read side by side, each in the order of memory
  for (int64_t row = 0; row < rows; row += strip) {
    const int64_t at = row * width, count = rows - row < strip ? rows - row : strip;
    int64_t first = 0;
    for (; first + kTile <= width; first += kTile) body(at + first, first, count, kTile);
    if (first < width) body(at + first, first, count, width - first);
  }
  for (int64_t first = 0; first < rest; first += kTile) {
    body(rows * width + first, first, 1, rest - first < kTile ? rest - first : kTile);
  }
}

// Adds up the columns of each channel; the sums are in the first `channels` columns.
CONVOY_INLINE inline void fold(int64_t channels, int64_t width, float* row) {
  for (int64_t from = channels; from < width; from += channels) {
    for (int64_t c = 0; c < channels; ++c) row[c] += row[from + c];
  }
}

// part [3][width] = shift | Σ (x - shift) | Σ (x - shift)², the sums in the first `channels` columns.  The shift is a
// sample of the channel: so one pass is as good as two.
template <class T>
CONVOY_INLINE inline void add_statistics(const T* __restrict x, int64_t length, int64_t width, int64_t channels,
                                         float* __restrict part) {
  float* shift = part;
  float* sum = part + width;
  float* squares = part + 2 * width;
  for (int64_t from = 0; from < width; from += channels) {
    for (int64_t c = 0; c < channels; ++c) shift[from + c] = load(x + c);
  }
  for (int64_t c = 0; c < width; ++c) sum[c] = squares[c] = 0;
  for_tiles(length, width, [=](int64_t at, int64_t first, int64_t rows, int64_t columns) CONVOY_INLINE {
    const float* of = shift + first;
    float s[kTile], q[kTile];
    for (int64_t c = 0; c < columns; ++c) s[c] = sum[first + c];
    for (int64_t c = 0; c < columns; ++c) q[c] = squares[first + c];
    for (int64_t row = 0; row < rows; ++row, at += width) {
#pragma omp simd
      for (int64_t c = 0; c < columns; ++c) {
        const float d = load(x + at + c) - of[c];
        s[c] += d;
        q[c] += d * d;
      }
    }
    for (int64_t c = 0; c < columns; ++c) sum[first + c] = s[c];
    for (int64_t c = 0; c < columns; ++c) squares[first + c] = q[c];
  });
  fold(channels, width, sum);
  fold(channels, width, squares);
}

// to[c] = value(c) for a row of a tile.  kStreamed: past the caches, which saves reading what is overwritten; for
// outputs too large to be found in a cache by their reader.  Requires then a blocked layout: rows of 16 bytes or more.
template <bool kStreamed, class T, class Value>
CONVOY_INLINE inline void write(T* __restrict to, int64_t columns, const Value& value) {
#if defined(__x86_64__)
  if constexpr (kStreamed) {
    T values[kTile];
#pragma omp simd
    for (int64_t c = 0; c < columns; ++c) store(values + c, value(c));
    for (int64_t c = 0; c < columns; c += int64_t{16 / sizeof(T)}) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + c), _mm_loadu_si128(reinterpret_cast<__m128i*>(values + c)));
    }
    return;
  }
#endif
#pragma omp simd
  for (int64_t c = 0; c < columns; ++c) store(to + c, value(c));
}

// After streamed writes, before another thread may read them.
CONVOY_INLINE inline void end_of_stream() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// y = (x - mean) · scale + shift, then + added, then a relu.  table [3][width] = mean | scale | shift.
template <bool kAdd, bool kRelu, bool kStreamed, class T>
CONVOY_INLINE inline void normalize(const T* __restrict x, const T* __restrict added, int64_t length, int64_t width,
                                    const float* __restrict table, T* __restrict y) {
  for_tiles(length, width, [=](int64_t at, int64_t first, int64_t rows, int64_t columns) CONVOY_INLINE {
    const float* mean = table + first;
    const float* scale = mean + width;
    const float* shift = scale + width;
    for (int64_t row = 0; row < rows; ++row, at += width) {
      write<kStreamed>(y + at, columns, [=](int64_t c) CONVOY_INLINE {
        float value = (load(x + at + c) - mean[c]) * scale[c] + shift[c];
        if constexpr (kAdd) value += load(added + at + c);
        if constexpr (kRelu) value = value <= 0 ? 0.0F : value;  // NaN stays NaN
        return value;
      });
    }
  });
}

// The relu that dy is to be brought behind: none, known by y, or computed from x once more, which is cheaper than
// reading y.
enum class Mask : uint8_t { kNone, kY, kX };
constexpr Mask mask(bool relu, bool add) { return !relu ? Mask::kNone : add ? Mask::kY : Mask::kX; }

template <Mask kMask, class T>
CONVOY_INLINE inline float behind_relu(float dy, float centred, float scale, float shift, const T* y, int64_t at) {
  if constexpr (kMask == Mask::kY) return load(y + at) > 0 ? dy : 0.0F;
  if constexpr (kMask == Mask::kX) return centred * scale + shift > 0 ? dy : 0.0F;
  return dy;
}

// part [2][width] = Σ dy | Σ dy · (x - mean), in the first `channels` columns, dy being behind the relu; kKeep: it is
// written to `kept`.  table [3][width] as in normalize().
template <Mask kMask, bool kKeep, class T>
CONVOY_INLINE inline void add_gradients(const T* __restrict x, const T* __restrict y, const T* __restrict dy,
                                        int64_t length, int64_t width, int64_t channels, const float* __restrict table,
                                        float* __restrict part, T* __restrict kept) {
  float* sum = part;
  float* product = part + width;
  for (int64_t c = 0; c < width; ++c) sum[c] = product[c] = 0;
  for_tiles(length, width, [=](int64_t at, int64_t first, int64_t rows, int64_t columns) CONVOY_INLINE {
    const float* mean = table + first;
    const float* scale = mean + width;
    const float* shift = scale + width;
    float s[kTile], p[kTile];
    for (int64_t c = 0; c < columns; ++c) s[c] = sum[first + c];
    for (int64_t c = 0; c < columns; ++c) p[c] = product[first + c];
    for (int64_t row = 0; row < rows; ++row, at += width) {
#pragma omp simd
      for (int64_t c = 0; c < columns; ++c) {
        const float centred = load(x + at + c) - mean[c];
        const float g = behind_relu<kMask>(load(dy + at + c), centred, scale[c], shift[c], y, at + c);
        if constexpr (kKeep) store(kept + at + c, g);
        s[c] += g;
        p[c] += g * centred;
      }
    }
    for (int64_t c = 0; c < columns; ++c) sum[first + c] = s[c];
    for (int64_t c = 0; c < columns; ++c) product[first + c] = p[c];
  });
  fold(channels, width, sum);
  fold(channels, width, product);
}

// dx = dy · scale + (x - mean) · a + b, dy being behind the relu.  table [5][width] = mean | scale | shift | a | b.
template <Mask kMask, bool kStreamed, class T>
CONVOY_INLINE inline void input_gradient(const T* __restrict x, const T* __restrict y, const T* __restrict dy,
                                         int64_t length, int64_t width, const float* __restrict table,
                                         T* __restrict dx) {
  for_tiles(length, width, [=](int64_t at, int64_t first, int64_t rows, int64_t columns) CONVOY_INLINE {
    const float* mean = table + first;
    const float* scale = mean + width;
    const float* shift = scale + width;
    const float* a = shift + width;
    const float* b = a + width;
    for (int64_t row = 0; row < rows; ++row, at += width) {
      write<kStreamed>(dx + at, columns, [=](int64_t c) CONVOY_INLINE {
        const float centred = load(x + at + c) - mean[c];
        const float g = behind_relu<kMask>(load(dy + at + c), centred, scale[c], shift[c], y, at + c);
        return g * scale[c] + centred * a[c] + b[c];
      });
    }
  });
}

// ---- Over the units of a group

constexpr int64_t kPartRows = 3;  // most rows of a part
constexpr int64_t kLanes = 16;    // channels whose parts are added up at a time

// Calls body(group, first channel in it, channels) for at most kLanes channels of the groups [begin, end) at a time.
template <class Body>
void for_channels(const Units& units, int64_t begin, int64_t end, const Body& body) {
  const int64_t channels = units.channels, tiles = (channels + kLanes - 1) / kLanes;
  const int64_t cost = units.per_group() * kPartRows * units.width / tiles;
  for_ranges((end - begin) * tiles, std::max<int64_t>(1, kGrain / cost), [=](int64_t from, int64_t to) CONVOY_INLINE {
    for (int64_t i = from; i < to; ++i) {
      const int64_t first = i % tiles * kLanes, left = channels - first;
      body(begin + i / tiles, first, left < kLanes ? left : kLanes);
    }
  });
}

// total[i] = Σ term(part, samples, i) of channel first + i, i < lanes, over the parts of a group, which follow each
// other at `parts`; `part` points at the channel.
template <class Term>
CONVOY_INLINE inline void add_up(const Units& units, const float* parts, int64_t first, int64_t lanes, double* total,
                                 const Term& term) {
  for (int64_t i = 0; i < lanes; ++i) total[i] = 0;
  for (int64_t unit = 0; unit < units.per_group(); ++unit, parts += kPartRows * units.width) {
    const int64_t samples = units.length(unit) / units.channels;
    for (int64_t i = 0; i < lanes; ++i) total[i] += term(parts + first + i, static_cast<double>(samples), i);
  }
}

// Sums of add_statistics() → mean and variance · samples.
CONVOY_INLINE inline void mean_and_squares(const Units& units, const float* parts, int64_t first, int64_t lanes,
                                           double samples, double* mean, double* squares) {
  const int64_t width = units.width;
  add_up(units, parts, first, lanes, mean,
         [=](const float* part, double n, int64_t) CONVOY_INLINE { return n * part[0] + part[width]; });
  for (int64_t i = 0; i < lanes; ++i) mean[i] /= samples;
  add_up(units, parts, first, lanes, squares, [=](const float* part, double n, int64_t i) CONVOY_INLINE {
    const double d = mean[i] - part[0];
    return part[2 * width] + d * (n * d - 2 * part[width]);
  });
}

// Sums of add_gradients() → Σ dy and Σ dy · (x - mean).
CONVOY_INLINE inline void gradient_sums(const Units& units, const float* parts, int64_t first, int64_t lanes,
                                        double* sum, double* product) {
  const int64_t width = units.width;
  add_up(units, parts, first, lanes, sum, [](const float* part, double, int64_t) CONVOY_INLINE { return part[0]; });
  add_up(units, parts, first, lanes, product,
         [=](const float* part, double, int64_t) CONVOY_INLINE { return part[width]; });
}

}  // namespace convoy::batch_norm
