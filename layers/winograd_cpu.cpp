#include "layers/winograd_cpu.h"

#include <algorithm>
#include <limits>

#include "layers/winograd_transforms_cpu.h"

namespace convoy::winograd {
namespace {

constexpr int kPlaces = 36;
constexpr int kPanel = 16;       // channels that lie together in what is transformed: two vectors
constexpr int kTilesOfSum = 48;  // tiles whose products a weight gradient adds up before it adds them to the others

int panels(int channels) { return (channels + kPanel - 1) / kPanel; }

// What the transforms write and the products read: [panels of channels, 36 places, rows, kPanel].  A row more between
// two places keeps them from falling on the same sets of a cache.
int64_t place_stride(int rows) { return (int64_t{rows} + 1) * kPanel; }
int64_t places_bytes(int channels, int rows) {
  return panels(channels) * kPlaces * place_stride(rows) * static_cast<int64_t>(sizeof(float));
}

}  // namespace

Tiles::Tiles(const ValueType& x_type, const ValueType& y_type, int low_h_of_x, int low_w_of_x)
    : x(x_type),
      y(y_type),
      low_h(low_h_of_x),
      low_w(low_w_of_x),
      rows((y.shape.h + kTile - 1) / kTile),
      columns((y.shape.w + kTile - 1) / kTile),
      threads(omp_get_max_threads()) {
  CHECK(x.layout.channel_block == kChannelBlock && y.layout == x.layout);
  CHECK(x.dtype == Dtype::kF32 && y.dtype == Dtype::kF32);
  const int64_t all = int64_t{y.shape.n} * rows * columns;
  CHECK(all <= std::numeric_limits<int>::max(), "more tiles than are counted");
  count = static_cast<int>(all);
  // Enough rows to reuse what a product reads of the filters.  A multiple of kTilesOfSum, so that the sums of a weight
  // gradient are cut at the same tiles whatever the number of threads.
  at_once = static_cast<int>(std::min<int64_t>(count, int64_t{threads} * kTilesOfSum));
}

Tiles Tiles::data_gradient() const {
  Tiles result(y, x, 2 - low_h, 2 - low_w);
  result.turns_filters = true;
  return result;
}

int64_t Tiles::filter_bytes() const { return places_bytes(y.shape.c, panels(x.shape.c) * kPanel); }

int64_t Tiles::part_bytes(int tiles) const { return places_bytes(x.shape.c, tiles) + places_bytes(y.shape.c, tiles); }

int64_t Tiles::workspace_bytes() const { return std::max(part_bytes(at_once), threads * part_bytes(kTilesOfSum)); }

#if defined(__x86_64__)

namespace {

constexpr int kSide = 6;  // 6 x 6 places
constexpr int kLanes = kChannelBlock;

int blocks(int channels) { return (channels + kLanes - 1) / kLanes; }

// ---- Pixels of tiles

struct Corner {
  int image, h, w;
};
Corner corner_in_y(const Tiles& tiles, int tile) {
  const int of_image = tiles.rows * tiles.columns, rest = tile % of_image;
  return {tile / of_image, rest / tiles.columns * kTile, rest % tiles.columns * kTile};
}

Corner corner_in_x(const Tiles& tiles, int tile) {
  const Corner in_y = corner_in_y(tiles, tile);
  return {in_y.image, in_y.h - tiles.low_h, in_y.w - tiles.low_w};
}

// The eight channels of block `block` of a pixel of an activation.
int64_t pixel(const Shape& shape, int image, int block, int h, int w) {
  return (((int64_t{image} * blocks(shape.c) + block) * shape.h + h) * shape.w + w) * kLanes;
}

// kSize x kSize pixels from (h, w) on, of which those outside are zeros.
template <int kSize>
CONVOY_FMA_INLINE void read_pixels(const Shape& shape, const float* values, const Corner& first, int block,
                                   Vector* to) {
  const auto [image, h, w] = first;
  if (h >= 0 && w >= 0 && h + kSize <= shape.h && w + kSize <= shape.w) {
    const float* from = values + pixel(shape, image, block, h, w);
    for (int i = 0; i < kSize; ++i) {
      for (int j = 0; j < kSize; ++j) to[i * kSize + j] = read(from + (int64_t{i} * shape.w + j) * kLanes);
    }
    return;
  }
  for (int i = 0; i < kSize; ++i) {
    for (int j = 0; j < kSize; ++j) {
      const bool inside = h + i >= 0 && h + i < shape.h && w + j >= 0 && w + j < shape.w;
      to[i * kSize + j] = inside ? read(values + pixel(shape, image, block, h + i, w + j)) : zero();
    }
  }
}

// Matrices of the 36 places; rows are tiles, or of filters the other channels.
struct Places {
  float* values;
  int channels, rows;

  int64_t stride() const { return place_stride(rows); }
  float* panel(int64_t place, int64_t panel) const { return values + (panel * kPlaces + place) * stride(); }
  // Of place 0: eight channels of a row.
  float* at(int block, int row) const { return panel(0, block / 2) + int64_t{row} * kPanel + block % 2 * kLanes; }
};

// Transforms kSize x kSize pixels from (h, w) on.  Where the blocks are odd in number, the half of the panel behind the
// last becomes zeros.
template <int kSize, void (*transform)(const Vector*, Vector*, int)>
CONVOY_FMA void transform_pixels(const Shape& shape, const float* values, const Corner& from, int block, float* to,
                                 int64_t stride) {
  Vector pixels[kSize * kSize], half[kSide * kSize], result[kPlaces];
  if (block < blocks(shape.c)) {
    read_pixels<kSize>(shape, values, from, block, pixels);
    for (int j = 0; j < kSize; ++j) transform(pixels + j, half + j, kSize);
    for (int k = 0; k < kSide; ++k) transform(half + k * kSize, result + k * kSide, 1);
  } else {
    for (Vector& v : result) v = zero();
  }
  for (int p = 0; p < kPlaces; ++p) write(to + p * stride, result[p]);
}

// The first `count` channels from `from` on, then zeros.
CONVOY_FMA_INLINE Vector read_first(const float* from, int count) {
  if (count >= kLanes) return read(from);
  float lanes[kLanes] = {};
  for (int i = 0; i < count; ++i) lanes[i] = from[i];
  return read(lanes);
}

CONVOY_FMA void write_tile(const Shape& shape, const float* from, int64_t stride, const Corner& to, int block,
                           const Epilogue& epilogue, float* y) {
  Vector sums[kPlaces], half[kTile * kSide], result[kTile * kTile];
  for (int p = 0; p < kPlaces; ++p) sums[p] = read(from + p * stride);
  for (int j = 0; j < kSide; ++j) transform_output(sums + j, half + j, kSide);
  for (int k = 0; k < kTile; ++k) transform_output(half + k * kSide, result + k * kTile, 1);
  const int channel = block * kLanes;
  const Vector bias = epilogue.bias == nullptr ? zero() : read_first(epilogue.bias + channel, shape.c - channel);
  const int64_t start = pixel(shape, to.image, block, to.h, to.w);
  const int height = std::min(kTile, shape.h - to.h), width = std::min(kTile, shape.w - to.w);
  for (int h = 0; h < height; ++h) {
    for (int w = 0; w < width; ++w) {
      const int64_t at = start + (int64_t{h} * shape.w + w) * kLanes;
      Vector value = result[h * kTile + w] + bias;
      if (epilogue.add != nullptr) value += read(epilogue.add + at);
      if (epilogue.relu) value = _mm256_max_ps(zero(), value);  // the second operand if either is NaN: NaN stays
      write(y + at, value);
    }
  }
}

// ---- Products: c += a · b of kRows rows, in registers over the whole sum

template <int kRows>
struct Sums {
  Vector of[kRows][2];
};

// a[i · row + k · step] · b[k, kPanel], over k < depth.
template <int kRows>
CONVOY_FMA_INLINE void add_products(const float* a, int64_t row, int64_t step, const float* b, int depth,
                                    Sums<kRows>& sums) {
  for (int k = 0; k < depth; ++k, a += step, b += kPanel) {
    const Vector low = read(b), high = read(b + kLanes);
    for (int i = 0; i < kRows; ++i) {
      const Vector factor = _mm256_broadcast_ss(a + i * row);
      sums.of[i][0] = _mm256_fmadd_ps(factor, low, sums.of[i][0]);
      sums.of[i][1] = _mm256_fmadd_ps(factor, high, sums.of[i][1]);
    }
  }
}

template <int kRows>
CONVOY_FMA_INLINE void write_sums(const Sums<kRows>& sums, float* to) {
  for (int i = 0; i < kRows; ++i) {
    write(to + i * kPanel, sums.of[i][0]);
    write(to + i * kPanel + kLanes, sums.of[i][1]);
  }
}

// c[rows, kPanel] = a · b of one place and one panel of outputs.  a: the panels of inputs; b: the filters.
template <int kRows>
CONVOY_FMA_INLINE void multiply_rows(const Places& a, int64_t place, int row, const float* b, float* c) {
  Sums<kRows> sums = {};
  for (int panel = 0; panel < panels(a.channels); ++panel, b += kPanel * kPanel) {
    add_products<kRows>(a.panel(place, panel) + int64_t{row} * kPanel, kPanel, 1, b, kPanel, sums);
  }
  write_sums(sums, c + int64_t{row} * kPanel);
}

constexpr int kRowsAtOnce = 6;  // 12 sums, and the operands, in 16 registers

CONVOY_FMA void multiply(const Places& a, int64_t place, int rows, const float* b, float* c) {
  int row = 0;
  for (; row + kRowsAtOnce <= rows; row += kRowsAtOnce) multiply_rows<kRowsAtOnce>(a, place, row, b, c);
  for (; row + 2 <= rows; row += 2) multiply_rows<2>(a, place, row, b, c);
  if (row < rows) multiply_rows<1>(a, place, row, b, c);
}

// filters[inputs, kPanel] (+)= xᵀ · dy of one place and one panel of outputs, over `rows` tiles.  The sums of
// kTilesOfSum tiles are added up, which rounds less than one long sum.
CONVOY_FMA void multiply_transposed(const Places& x, int64_t place, int rows, const float* dy, bool add,
                                    float* filters) {
  constexpr int kChannels = 4;
  for (int channel = 0; channel < panels(x.channels) * kPanel; channel += kChannels) {
    const float* const from = x.panel(place, channel / kPanel) + channel % kPanel;
    float* const to = filters + int64_t{channel} * kPanel;
    for (int row = 0; row < rows; row += kTilesOfSum) {
      Sums<kChannels> sums = {};
      add_products<kChannels>(from + int64_t{row} * kPanel, 1, kPanel, dy + int64_t{row} * kPanel,
                              std::min(kTilesOfSum, rows - row), sums);
      if (add || row > 0) {
        for (int i = 0; i < kChannels; ++i) {
          sums.of[i][0] += read(to + i * kPanel);
          sums.of[i][1] += read(to + i * kPanel + kLanes);
        }
      }
      write_sums(sums, to);
    }
  }
}

// ---- Filters

// Weights in memory, as the filters of a convolution: (output, input) of place rs is at
// first + output · of_output + input · of_input + rs · of_place.
struct Weights {
  int64_t first, of_output, of_input, of_place;
};
Weights weights_of(int outputs, int inputs, bool turned) {
  const int64_t kNine = 9;
  if (!turned) return {0, kNine * inputs, 1, inputs};
  return {int64_t{8} * outputs, 1, kNine * outputs, -outputs};  // [inputs,3,3,outputs], turned by 180 degrees
}

// A square of filters, kPanel inputs by kPanel outputs, of which the outputs are the lanes of vectors.
struct Square {
  float of[kPanel][9][kPanel];  // input, place, output
};

CONVOY_FMA void transform_square(const Square& square, Places to, int panel, int input) {
  for (int c = 0; c < kPanel; ++c) {
    for (int side = 0; side < 2; ++side) {
      Vector g[9], half[kSide * 3], result[kPlaces];
      for (int rs = 0; rs < 9; ++rs) g[rs] = read(&square.of[c][rs][side * kLanes]);
      for (int s = 0; s < 3; ++s) transform_filter(g + s, half + s, 3);
      for (int k = 0; k < kSide; ++k) transform_filter(half + k * 3, result + k * kSide, 1);
      float* const out = to.at(panel * 2 + side, input + c);
      for (int p = 0; p < kPlaces; ++p) write(out + p * to.stride(), result[p]);
    }
  }
}

CONVOY_FMA void transform_square_back(Places from, int panel, int input, Square& square) {
  for (int c = 0; c < kPanel; ++c) {
    for (int side = 0; side < 2; ++side) {
      Vector u[kPlaces], half[3 * kSide], result[9];
      const float* const in = from.at(panel * 2 + side, input + c);
      for (int p = 0; p < kPlaces; ++p) u[p] = read(in + p * from.stride());
      for (int j = 0; j < kSide; ++j) transform_filter_gradient(u + j, half + j, kSide);
      for (int r = 0; r < 3; ++r) transform_filter_gradient(half + r * kSide, result + r * 3, 1);
      for (int rs = 0; rs < 9; ++rs) write(&square.of[c][rs][side * kLanes], result[rs]);
    }
  }
}

// Calls copy(offset in the weights, input, place, output) for the elements of a square that there are.
template <class Copy>
void for_elements(const Weights& weights, int outputs, int inputs, int panel, int input, Copy copy) {
  const int there_k = std::min(kPanel, outputs - panel * kPanel), there_c = std::min(kPanel, inputs - input);
  const int64_t first = weights.first + panel * kPanel * weights.of_output + input * weights.of_input;
  const bool inputs_lie_together = weights.of_input == 1;  // and are gone through last; else the outputs do
  for (int i = 0; i < (inputs_lie_together ? there_k : there_c); ++i) {
    for (int rs = 0; rs < 9; ++rs) {
      for (int j = 0; j < (inputs_lie_together ? there_c : there_k); ++j) {
        const int c = inputs_lie_together ? j : i, k = inputs_lie_together ? i : j;
        copy(first + k * weights.of_output + c * weights.of_input + rs * weights.of_place, c, rs, k);
      }
    }
  }
}

Places filters_of(const Tiles& tiles, float* filters) {
  return {filters, tiles.y.shape.c, panels(tiles.x.shape.c) * kPanel};
}
// Both in one part of the workspace, for `rows` tiles.
Places inputs_of(const Tiles& tiles, void* part, int rows) {
  return {static_cast<float*>(part), tiles.x.shape.c, rows};
}
Places outputs_of(const Tiles& tiles, void* part, int rows) {
  auto* const behind_inputs = static_cast<std::byte*>(part) + places_bytes(tiles.x.shape.c, rows);
  return {reinterpret_cast<float*>(behind_inputs), tiles.y.shape.c, rows};
}

// Calls body(i, j) for all i < outer and j < inner, on all threads.
template <class Body>
void for_pairs(int outer, int inner, const Body& body) {
  parallel_for(int64_t{outer} * inner, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(static_cast<int>(i / inner), static_cast<int>(i % inner));
  });
}

// Calls body(panel of outputs, panel of inputs) for all squares of filters.
template <class Body>
void for_squares(const Tiles& tiles, const Body& body) {
  for_pairs(panels(tiles.y.shape.c), panels(tiles.x.shape.c), body);
}

// In f32 along a row, in double otherwise.
void sum_pixels(const ValueType& type, const float* dy, float* dbias) {
  const Planes p = planes(type);
  const int64_t row = int64_t{type.shape.w} * kLanes, plane = p.pixels * kLanes;
  for_ranges(p.groups, 1, [=](int64_t begin, int64_t end) CONVOY_INLINE {
    for (int64_t block = begin; block < end; ++block) {
      double total[kLanes] = {};
      for (int64_t i = block; i < p.outer; i += p.groups) {
        for (const float* from = dy + i * plane; from < dy + (i + 1) * plane; from += row) {
          float sum[kLanes] = {};
          for (int64_t j = 0; j < row; j += kLanes) {
            for (int c = 0; c < kLanes; ++c) sum[c] += from[j + c];
          }
          for (int c = 0; c < kLanes; ++c) total[c] += sum[c];
        }
      }
      for (int64_t c = 0; c < p.valid(block); ++c) dbias[block * kLanes + c] = static_cast<float>(total[c]);
    }
  });
}

void transform_inputs(const Tiles& tiles, const float* x, int first, int rows, Places to) {
  for_pairs(panels(to.channels) * 2, rows, [&](int block, int row) {
    transform_pixels<kSide, transform_input>(tiles.x.shape, x, corner_in_x(tiles, first + row), block,
                                             to.at(block, row), to.stride());
  });
}

}  // namespace

bool available() { return simd_level() >= SimdLevel::kAvx2 && __builtin_cpu_supports("fma"); }

void transform_filters(const Tiles& tiles, const float* w, float* filters) {
  const int outputs = tiles.y.shape.c, inputs = tiles.x.shape.c;
  const Weights weights = weights_of(outputs, inputs, tiles.turns_filters);
  const Places to = filters_of(tiles, filters);
  for_squares(tiles, [&](int panel, int of_inputs) {
    Square square = {};
    for_elements(weights, outputs, inputs, panel, of_inputs * kPanel,
                 [&](int64_t at, int c, int rs, int k) { square.of[c][rs][k] = w[at]; });
    transform_square(square, to, panel, of_inputs * kPanel);
  });
}

void convolve(const Tiles& tiles, const float* x, const float* filters, const Epilogue& epilogue, float* y,
              void* workspace) {
  const Places b = filters_of(tiles, const_cast<float*>(filters));
  // The tiles [begin, end), some at once.  On one thread if it is called by several.
  const auto run = [&](int begin, int end, int at_once, void* part) {
    const Places from = inputs_of(tiles, part, at_once), to = outputs_of(tiles, part, at_once);
    for (int first = begin; first < end; first += at_once) {
      const int rows = std::min(at_once, end - first);
      transform_inputs(tiles, x, first, rows, from);
      for_pairs(kPlaces, panels(to.channels), [&](int place, int panel) {
        multiply(from, place, rows, b.panel(place, panel), to.panel(place, panel));
      });
      for_pairs(blocks(to.channels), rows, [&](int block, int row) {
        write_tile(tiles.y.shape, to.at(block, row), to.stride(), corner_in_y(tiles, first + row), block, epilogue, y);
      });
    }
  };
  // With tiles enough each thread has its own, which stay in its cache; with few, threads share out the filters.
  constexpr int kEnough = kTilesOfSum / 2;
  if (tiles.count < tiles.threads * kEnough) return run(0, tiles.count, tiles.at_once, workspace);
  parallel_for(tiles.threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto tile = [&](int64_t part) { return static_cast<int>(tiles.count * part / tiles.threads); };
      run(tile(i), tile(i + 1), kTilesOfSum, static_cast<std::byte*>(workspace) + i * tiles.part_bytes(kTilesOfSum));
    }
  });
}

void weight_gradient(const Tiles& tiles, const float* x, const float* dy, float* dw, float* dbias, float* filters,
                     void* workspace) {
  const Places from = inputs_of(tiles, workspace, tiles.at_once), to = outputs_of(tiles, workspace, tiles.at_once);
  const Places sums = filters_of(tiles, filters);
  for (int first = 0; first < tiles.count; first += tiles.at_once) {
    const int rows = std::min(tiles.at_once, tiles.count - first);
    transform_inputs(tiles, x, first, rows, from);
    for_pairs(panels(to.channels) * 2, rows, [&](int block, int row) {
      transform_pixels<kTile, transform_gradient>(tiles.y.shape, dy, corner_in_y(tiles, first + row), block,
                                                  to.at(block, row), to.stride());
    });
    for_pairs(kPlaces, panels(to.channels), [&](int place, int panel) {
      multiply_transposed(from, place, rows, to.panel(place, panel), first > 0, sums.panel(place, panel));
    });
  }
  const int outputs = tiles.y.shape.c, inputs = tiles.x.shape.c;
  const Weights weights = weights_of(outputs, inputs, tiles.turns_filters);
  for_squares(tiles, [&](int panel, int of_inputs) {
    Square square;
    transform_square_back(sums, panel, of_inputs * kPanel, square);
    for_elements(weights, outputs, inputs, panel, of_inputs * kPanel,
                 [&](int64_t at, int c, int rs, int k) { dw[at] = square.of[c][rs][k]; });
  });
  if (dbias != nullptr) sum_pixels(tiles.y, dy, dbias);
}

#else

bool available() { return false; }
void transform_filters(const Tiles&, const float*, float*) { CHECK(false, "Winograd's algorithm needs AVX2"); }
void convolve(const Tiles&, const float*, const float*, const Epilogue&, float*, void*) {
  CHECK(false, "Winograd's algorithm needs AVX2");
}
void weight_gradient(const Tiles&, const float*, const float*, float*, float*, float*, void*) {
  CHECK(false, "Winograd's algorithm needs AVX2");
}

#endif

}  // namespace convoy::winograd
