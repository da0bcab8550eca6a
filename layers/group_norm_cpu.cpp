// Group normalisation with own loops, in any layout.  Each channel of an image is summed by itself, as it lies in a
// plane; its group is put together from that.  Images are done a few at a time, so that what the first pass over memory
// has read is still in the cache for the second.
#include "layers/group_norm.h"

#include <algorithm>
#include <cmath>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

constexpr int64_t kLanes = 16;        // channels in registers
constexpr int64_t kRows = 64;         // pixels that are added up in f32; what they come to is added up in double
constexpr int64_t kCached = 1 << 18;  // elements for each processor that the caches keep from one pass to the next

// Of a group: what forward keeps for backward.
struct Statistics {
  double mean, one_over_std;
};
// Of a channel of an image: two sums in double.
struct Pair {
  double first, second;
};
// Of a channel of an image: y = (x - mean) · scale + shift, and dx = dy · scale + (x - mean) · a + b.  All zero for the
// padding of a blocked layout, which so stays zero.
struct Column {
  float mean, scale, shift, a, b;
};

class GroupNormCpu : public CpuKernel {
 public:
  GroupNormCpu(const GroupNorm& layer, const CompileRequest& request);
  bool backward_reads_input(int) const override { return !parts_.empty(); }
  void bind(const KernelArgs& args) override;
  void forward(Stream&) override;
  void backward(int, Stream&) override;

 private:
  bool writes_dw() const { return !parts_.empty() && parts_[0].dw; }
  double samples() const { return static_cast<double>(p_.pixels * group_channels_); }
  // Where channel c of image n stands in sums_ and columns_, which are in the order of planes.
  int64_t place(int64_t n, int64_t c) const { return (n * p_.groups + c / p_.inner) * p_.inner + c % p_.inner; }
  template <class Body>
  void for_images(const Body& body) const;
  template <class Body>
  void for_chunks(int64_t begin, int64_t end, const Body& body) const;
  template <class T>
  void add_moments(int64_t begin, int64_t end) const;
  void use_moments(int64_t begin, int64_t end) const;
  template <class T>
  void normalize(int64_t begin, int64_t end) const;
  template <class T>
  void add_gradients(int64_t begin, int64_t end) const;
  void use_gradients(int64_t begin, int64_t end) const;
  template <class T>
  void input_gradient(int64_t begin, int64_t end) const;
  Column normalization(const Statistics& it, int64_t c) const;
  void write_dw() const;

  GroupNormOptions options_;
  Planes p_;
  int64_t images_, group_channels_;
  int64_t at_once_;  // images
  Statistics* statistics_ = nullptr;
  Pair* sums_ = nullptr;
  Column* columns_ = nullptr;
};

GroupNormCpu::GroupNormCpu(const GroupNorm& layer, const CompileRequest& request)
    : options_(layer.options()), p_(planes(request.inputs[0])) {
  inputs_ = request.inputs;
  output_ = request.inputs[0];
  images_ = output_.shape.n;
  group_channels_ = output_.shape.c / options_.groups;
  const bool dx = request.wants_dx[0];
  if (request.mode == Mode::kTrain && (dx || request.wants_dw)) {
    parts_ = {{"backward", dx ? std::vector{0} : std::vector<int>(), request.wants_dw}};
  }
  at_once_ = std::clamp<int64_t>(kCached * omp_get_max_threads() / (p_.elements() / images_), 1, images_);
  const int64_t statistics = images_ * options_.groups * static_cast<int64_t>(sizeof(Statistics));
  const int64_t channels = p_.outer * p_.inner;
  workspace_bytes_ = channels * static_cast<int64_t>(sizeof(Pair) + sizeof(Column));
  if (parts_.empty()) {
    workspace_bytes_ += statistics;
  } else {
    saved_ = {statistics};
  }
}

void GroupNormCpu::bind(const KernelArgs& args) {
  args_ = args;
  const int64_t channels = p_.outer * p_.inner;
  sums_ = static_cast<Pair*>(args.workspace);
  auto* const behind = reinterpret_cast<Statistics*>(sums_ + channels);
  statistics_ = saved_.empty() ? behind : static_cast<Statistics*>(args.saved[0]);
  columns_ = reinterpret_cast<Column*>(saved_.empty() ? behind + images_ * options_.groups : behind);
}

// ---- Loops

template <class Body>
void GroupNormCpu::for_images(const Body& body) const {
  for (int64_t begin = 0; begin < images_; begin += at_once_) body(begin, std::min(begin + at_once_, images_));
}

// Calls body(first element, channels, place of the first in sums_ and columns_) for chunks of at most kLanes channels
// of the images [begin, end), on all threads.
template <class Body>
void GroupNormCpu::for_chunks(int64_t begin, int64_t end, const Body& body) const {
  const Planes p = p_;
  const int64_t chunks = (p.inner + kLanes - 1) / kLanes;
  const int64_t grain = std::max<int64_t>(1, kGrain / (p.pixels * std::min(p.inner, kLanes)));
  for_ranges((end - begin) * p.groups * chunks, grain, [=](int64_t from, int64_t to) CONVOY_INLINE {
    for (int64_t i = from; i < to; ++i) {
      const int64_t plane = begin * p.groups + i / chunks, first = i % chunks * kLanes;
      const int64_t left = p.inner - first, at = plane * p.pixels * p.inner + first;
      // A constant number of channels is what the compiler keeps in registers.
      if (left >= kLanes)
        body(at, kLanes, plane * p.inner + first);
      else
        body(at, left, plane * p.inner + first);
    }
  });
}

Column GroupNormCpu::normalization(const Statistics& it, int64_t c) const {
  const auto mean = static_cast<float>(it.mean);
  const double scale = args_.w[0].as<float>()[c] * it.one_over_std;
  const double shift = args_.w[1].as<float>()[c] - (it.mean - mean) * scale;
  return {mean, static_cast<float>(scale), static_cast<float>(shift), 0, 0};
}

// ---- Forward

void GroupNormCpu::forward(Stream&) {
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_images([&](int64_t begin, int64_t end) {
      add_moments<T>(begin, end);
      use_moments(begin, end);
      normalize<T>(begin, end);
    });
  });
}

// sums_ = mean | Σ (x - mean)² of each channel.
template <class T>
void GroupNormCpu::add_moments(int64_t begin, int64_t end) const {
  const T* const x = args_.x[0].as<T>();
  const int64_t pixels = p_.pixels, inner = p_.inner;
  Pair* const sums = sums_;
  for_chunks(begin, end, [=](int64_t at, int64_t lanes, int64_t place) CONVOY_INLINE {
    float shift[kLanes] = {};  // a sample of the channel: so one pass is as good as two
    double total[kLanes] = {}, squares[kLanes] = {};
    for (int64_t c = 0; c < lanes; ++c) shift[c] = load(x + at + c);
    for (int64_t first = 0; first < pixels; first += kRows) {
      const int64_t rows = pixels - first < kRows ? pixels - first : kRows;
      const T* from = x + at + first * inner;
      float s[kLanes] = {}, q[kLanes] = {};
      for (int64_t row = 0; row < rows; ++row, from += inner) {
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) {
          const float d = load(from + c) - shift[c];
          s[c] += d;
          q[c] += d * d;
        }
      }
      for (int64_t c = 0; c < lanes; ++c) total[c] += s[c];
      for (int64_t c = 0; c < lanes; ++c) squares[c] += q[c];
    }
    for (int64_t c = 0; c < lanes; ++c) {
      const double mean = total[c] / static_cast<double>(pixels);
      sums[place + c] = {shift[c] + mean, squares[c] - mean * total[c]};
    }
  });
}

void GroupNormCpu::use_moments(int64_t begin, int64_t end) const {
  std::fill(columns_ + begin * p_.groups * p_.inner, columns_ + end * p_.groups * p_.inner, Column{});
  const auto pixels = static_cast<double>(p_.pixels);
  for (int64_t i = begin * options_.groups; i < end * options_.groups; ++i) {
    const int64_t n = i / options_.groups, first = i % options_.groups * group_channels_;
    double mean = 0, squares = 0;
    for (int64_t c = first; c < first + group_channels_; ++c) mean += sums_[place(n, c)].first;
    mean /= static_cast<double>(group_channels_);
    for (int64_t c = first; c < first + group_channels_; ++c) {
      const auto [of_channel, squares_of_channel] = sums_[place(n, c)];
      squares += squares_of_channel + pixels * (of_channel - mean) * (of_channel - mean);
    }
    statistics_[i] = {mean, 1 / std::sqrt(std::max(squares, 0.0) / samples() + static_cast<double>(options_.epsilon))};
    for (int64_t c = first; c < first + group_channels_; ++c) columns_[place(n, c)] = normalization(statistics_[i], c);
  }
}

template <class T>
void GroupNormCpu::normalize(int64_t begin, int64_t end) const {
  const T* const x = args_.x[0].as<T>();
  T* const y = args_.y.as<T>();
  const int64_t pixels = p_.pixels, inner = p_.inner;
  const Column* const columns = columns_;
  for_chunks(begin, end, [=](int64_t at, int64_t lanes, int64_t place) CONVOY_INLINE {
    float mean[kLanes], scale[kLanes], shift[kLanes];
    for (int64_t c = 0; c < lanes; ++c) {
      mean[c] = columns[place + c].mean;
      scale[c] = columns[place + c].scale;
      shift[c] = columns[place + c].shift;
    }
    for (int64_t pixel = 0; pixel < pixels; ++pixel, at += inner) {
#pragma omp simd
      for (int64_t c = 0; c < lanes; ++c) store(y + at + c, (load(x + at + c) - mean[c]) * scale[c] + shift[c]);
    }
  });
}

// ---- Backward

void GroupNormCpu::backward(int, Stream&) {
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_images([&](int64_t begin, int64_t end) {
      add_gradients<T>(begin, end);
      use_gradients(begin, end);
      if (!parts_[0].dx.empty()) input_gradient<T>(begin, end);
    });
  });
  if (writes_dw()) write_dw();
}

// sums_ = Σ dy | Σ dy · (x - mean) of each channel, the mean being that of its group.
template <class T>
void GroupNormCpu::add_gradients(int64_t begin, int64_t end) const {
  std::fill(columns_ + begin * p_.groups * p_.inner, columns_ + end * p_.groups * p_.inner, Column{});
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t c = 0; c < p_.channels; ++c) {
      columns_[place(n, c)] = normalization(statistics_[n * options_.groups + c / group_channels_], c);
    }
  }
  const T *const x = args_.x[0].as<T>(), *const dy = args_.dy.as<T>();
  const int64_t pixels = p_.pixels, inner = p_.inner;
  const Column* const columns = columns_;
  Pair* const sums = sums_;
  for_chunks(begin, end, [=](int64_t at, int64_t lanes, int64_t place) CONVOY_INLINE {
    float mean[kLanes];
    double total[kLanes] = {}, product[kLanes] = {};
    for (int64_t c = 0; c < lanes; ++c) mean[c] = columns[place + c].mean;
    for (int64_t first = 0; first < pixels; first += kRows) {
      const int64_t rows = pixels - first < kRows ? pixels - first : kRows;
      float s[kLanes] = {}, p[kLanes] = {};
      for (int64_t row = 0; row < rows; ++row, at += inner) {
#pragma omp simd
        for (int64_t c = 0; c < lanes; ++c) {
          const float g = load(dy + at + c);
          s[c] += g;
          p[c] += g * (load(x + at + c) - mean[c]);
        }
      }
      for (int64_t c = 0; c < lanes; ++c) total[c] += s[c];
      for (int64_t c = 0; c < lanes; ++c) product[c] += p[c];
    }
    for (int64_t c = 0; c < lanes; ++c) sums[place + c] = {total[c], product[c]};
  });
}

// Brings the sums to Σ dy | Σ dy · (x - mean) / std, exactly, and sets a and b of the columns.
void GroupNormCpu::use_gradients(int64_t begin, int64_t end) const {
  const float* const weight = args_.w[0].as<float>();
  for (int64_t i = begin * options_.groups; i < end * options_.groups; ++i) {
    const int64_t n = i / options_.groups, first = i % options_.groups * group_channels_;
    const auto [mean, one_over_std] = statistics_[i];
    const double rest = mean - static_cast<float>(mean);
    double sum = 0, product = 0;
    for (int64_t c = first; c < first + group_channels_; ++c) {
      Pair& it = sums_[place(n, c)];
      it.second = (it.second - rest * it.first) * one_over_std;
      sum += weight[c] * it.first;
      product += weight[c] * it.second;
    }
    const double a = -product * one_over_std * one_over_std / samples();
    const double b = -sum * one_over_std / samples() - a * rest;
    for (int64_t c = first; c < first + group_channels_; ++c) {
      columns_[place(n, c)].a = static_cast<float>(a);
      columns_[place(n, c)].b = static_cast<float>(b);
    }
  }
}

template <class T>
void GroupNormCpu::input_gradient(int64_t begin, int64_t end) const {
  const T *const x = args_.x[0].as<T>(), *const dy = args_.dy.as<T>();
  T* const dx = args_.dx[0].as<T>();
  const int64_t pixels = p_.pixels, inner = p_.inner;
  const Column* const columns = columns_;
  for_chunks(begin, end, [=](int64_t at, int64_t lanes, int64_t place) CONVOY_INLINE {
    float mean[kLanes], scale[kLanes], a[kLanes], b[kLanes];
    for (int64_t c = 0; c < lanes; ++c) {
      mean[c] = columns[place + c].mean;
      scale[c] = columns[place + c].scale;
      a[c] = columns[place + c].a;
      b[c] = columns[place + c].b;
    }
    for (int64_t pixel = 0; pixel < pixels; ++pixel, at += inner) {
#pragma omp simd
      for (int64_t c = 0; c < lanes; ++c) {
        store(dx + at + c, load(dy + at + c) * scale[c] + (load(x + at + c) - mean[c]) * a[c] + b[c]);
      }
    }
  });
}

void GroupNormCpu::write_dw() const {
  float *const dweight = args_.dw[0].as<float>(), *const dbias = args_.dw[1].as<float>();
  for (int64_t c = 0; c < p_.channels; ++c) {
    double sum = 0, product = 0;
    for (int64_t n = 0; n < images_; ++n) {
      sum += sums_[place(n, c)].first;
      product += sums_[place(n, c)].second;
    }
    dweight[c] = static_cast<float>(product);
    dbias[c] = static_cast<float>(sum);
  }
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const GroupNorm& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<GroupNormCpu>(layer, request);
}

}  // namespace convoy
