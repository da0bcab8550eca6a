#include "core/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/error.h"
#include "core/image/resize_loops.h"

namespace convoy {
namespace {

struct Bilinear {
  static constexpr double kSupport = 1;
  static double at(double x) {
    x = std::abs(x);
    return x < 1 ? 1 - x : 0;
  }
};

// Keys' cubic convolution with a = -1/2.
struct Bicubic {
  static constexpr double kSupport = 2;
  static double at(double x) {
    constexpr double a = -0.5;
    x = std::abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  }
};

int32_t to_fixed(double weight) {
  return static_cast<int32_t>(weight * (1 << kWeightBits) + (weight < 0 ? -0.5 : 0.5));
}

}  // namespace

template <class Filter>
void Resizer::Axis::weigh() {
  const double scale = static_cast<double>(end - begin) / out_size, widened = std::max(scale, 1.0);
  const double support = Filter::kSupport * widened, narrowed = 1 / widened;
  for (size_t i = 0; i < first.size(); ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    first[i] = std::max(0, static_cast<int>(centre - support + 0.5));
    count[i] = std::min(in_size, static_cast<int>(centre + support + 0.5)) - first[i];
  }
  taps = *std::max_element(count.begin(), count.end());
  weights.assign(first.size() * static_cast<size_t>(taps), 0);
  unrounded.resize(static_cast<size_t>(taps));
  int32_t* weight = weights.data();
  for (size_t i = 0; i < first.size(); ++i, weight += taps) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    double sum = 0;
    for (int t = 0; t < count[i]; ++t)
      sum += unrounded[static_cast<size_t>(t)] = Filter::at((t + first[i] - centre + 0.5) * narrowed);
    for (int t = 0; t < count[i]; ++t) weight[t] = to_fixed(sum == 0 ? 0 : unrounded[static_cast<size_t>(t)] / sum);
  }
}

void Resizer::Axis::prepare(int in, double from, double to, int out, ResizeFilter filter) {
  const auto new_begin = static_cast<float>(from), new_end = static_cast<float>(to);
  if (in == in_size && out == out_size && new_begin == begin && new_end == end) return;
  in_size = in, out_size = out, begin = new_begin, end = new_end;
  first.resize(static_cast<size_t>(out));
  count.resize(static_cast<size_t>(out));
  if (filter == ResizeFilter::kBilinear)
    weigh<Bilinear>();
  else
    weigh<Bicubic>();
}

Resizer::Resizer(ResizeFilter filter, SimdLevel level) : filter_(filter), level_(level) {}

void Resizer::resize(const Image& from, const Box& box, ImageSize size, Image& out) {
  CHECK(from.channels == 1 || from.channels == 3, "Resizer: channels");
  CHECK(&from != &out && size.width >= 1 && size.height >= 1, "Resizer: size");
  CHECK(box.left >= 0 && box.left < box.right && box.right <= from.width && box.top >= 0 && box.top < box.bottom &&
            box.bottom <= from.height,
        "Resizer: box");
  horizontal_.prepare(from.width, box.left, box.right, size.width, filter_);
  vertical_.prepare(from.height, box.top, box.bottom, size.height, filter_);
  out.resize(size.width, size.height, from.channels);
  const int first_row = vertical_.first.front(), end_row = vertical_.first.back() + vertical_.count.back();
  stride_ = (out.row_bytes() + kSlack + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  rows_.resize(stride_ * static_cast<size_t>(end_row - first_row));
  if (horizontal_.copies()) {
    for (int y = first_row; y < end_row; ++y)
      std::memcpy(rows_.data() + static_cast<size_t>(y - first_row) * stride_, from.row(y), from.row_bytes());
  } else {
    resize_rows(from, first_row, end_row - first_row);
  }
  resize_columns(first_row, out);
}

void Resizer::resize_rows(const Image& from, int first_row, int rows) {
  const ResizeLoops loops = resize_loops(level_);
  // The last columns are read up to `taps` further than they go, with weights of zero.
  packed_.resize(static_cast<size_t>(from.width + horizontal_.taps) * kColumnBytes);
  resized_.resize(static_cast<size_t>(horizontal_.out_size) * kColumnBytes);
  const int group_rows = rows_of_group(from.channels);
  for (int y = 0; y < rows; y += group_rows) {
    const uint8_t* group[rows_of_group(1)];
    for (int r = 0; r < group_rows; ++r) group[r] = from.row(first_row + std::min(y + r, rows - 1));
    (from.channels == 3 ? loops.pack_rgb : loops.pack_grey)(group, from.width, packed_.data());
    loops.sum_columns(packed_.data(), horizontal_.first.data(), horizontal_.weights.data(), horizontal_.taps,
                      horizontal_.out_size, resized_.data());
    (from.channels == 3 ? loops.unpack_rgb : loops.unpack_grey)(
        resized_.data(), horizontal_.out_size, std::min(group_rows, rows - y),
        rows_.data() + static_cast<size_t>(y) * stride_, stride_);
  }
}

void Resizer::resize_columns(int first_row, Image& out) {
  const ResizeLoops loops = resize_loops(level_);
  const int blocks = static_cast<int>(out.row_bytes() / kBlockBytes);
  const size_t whole = static_cast<size_t>(blocks) * kBlockBytes, rest = out.row_bytes() - whole;
  for (int y = 0; y < out.height; ++y) {
    const auto i = static_cast<size_t>(y);
    const uint8_t* from = rows_.data() + static_cast<size_t>(vertical_.first[i] - first_row) * stride_;
    const int32_t* weights = vertical_.weights.data() + i * static_cast<size_t>(vertical_.taps);
    loops.sum_rows(from, stride_, weights, vertical_.count[i], blocks, out.row(y));
    if (rest == 0) continue;
    uint8_t last[kBlockBytes];
    loops.sum_rows(from + whole, stride_, weights, vertical_.count[i], 1, last);
    std::memcpy(out.row(y) + whole, last, rest);
  }
}

}  // namespace convoy
