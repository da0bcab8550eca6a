// Batch normalisation with own loops.  Groups of channels are done a few at a time, so that what the first pass over
// memory has read is still in the cache for the second.
#include "layers/batch_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "layers/batch_norm_loops_cpu.h"

namespace convoy {
namespace {

using batch_norm::kLanes;
using batch_norm::kPartRows;
using batch_norm::Mask;
using batch_norm::Units;

constexpr int64_t kCached = 1 << 19;    // elements for each processor that the caches keep from one pass to the next
constexpr int64_t kStreamed = 1 << 23;  // bytes of an output that its reader would not find in a cache
constexpr int64_t kTableRows = 5;       // most rows of a table
using TableColumn = std::array<float, kTableRows>;

// What forward keeps of a channel.  The mean is mean + rest: one f32 is too coarse where the deviation is far smaller.
struct Channel {
  float mean, rest, one_over_std;
};

class BatchNormCpu : public CpuKernel {
 public:
  BatchNormCpu(const BatchNorm& layer, const CompileRequest& request);
  bool backward_reads_input(int input) const override { return input == 0 && needs_sums(); }
  bool backward_reads_output() const override { return options_.relu && options_.add && !parts_.empty(); }
  bool dx_is_dy(int input) const override { return input == 1 && !options_.relu; }
  void bind(const KernelArgs& args) override;
  void forward(Stream&) override;
  void backward(int, Stream&) override;

 private:
  bool writes_dw() const { return !parts_.empty() && parts_[0].dw; }
  bool writes_dx(int input) const { return !parts_.empty() && std::ranges::count(parts_[0].dx, input) > 0; }
  bool needs_sums() const { return writes_dw() || writes_dx(0); }
  // Whether statistics depend on x: then so do the gradients.
  bool of_batch() const { return training_ && !options_.inference; }
  // Whether backward has a pass before that of dx: for sums, and where it writes dy behind the relu.
  bool adds_gradients() const { return of_batch() || writes_dw() || writes_dx(1); }
  double samples() const {
    const int64_t samples = output_.shape.elements() / output_.shape.c;
    return static_cast<double>(samples);
  }
  Channel& kept(int64_t channel) const { return static_cast<Channel*>(args_.saved[0])[channel]; }
  const float* parts(int64_t group) const {
    return sums_ + group % at_once_ * units_.per_group() * kPartRows * units_.width;
  }

  // Passes over the groups [begin, end).
  template <class T>
  void normalize(int64_t begin, int64_t end) const;
  template <class T>
  void add_statistics(int64_t begin, int64_t end) const;
  void use_statistics(int64_t begin, int64_t end) const;
  void use_running(int64_t begin, int64_t end) const;
  template <class T>
  void add_gradients(int64_t begin, int64_t end) const;
  void use_gradients(int64_t begin, int64_t end) const;
  template <class T>
  void input_gradient(int64_t begin, int64_t end) const;

  template <class Body>
  void for_groups(const Body& body) const;
  template <class Body>
  void for_units(int64_t begin, int64_t end, const Body& body) const;
  template <class Column>
  void set_tables(int64_t group, int64_t first, int64_t lanes, const Column& column) const;
  Channel channel_of(double mean, double variance) const;
  TableColumn normalization(int64_t channel, const Channel& it) const;
  void add_batch_state(int64_t channel, double mean, double squares) const;
  TableColumn gradient(int64_t channel, double sum, double product) const;

  BatchNormOptions options_;
  BatchNormParameters w_, dw_;
  bool training_;
  Units units_;
  bool streamed_;                              // outputs go past the caches
  int64_t at_once_;                            // groups
  float *tables_ = nullptr, *sums_ = nullptr;  // in the workspace: of at_once_ groups a table, and a part for each unit
};

BatchNormCpu::BatchNormCpu(const BatchNorm& layer, const CompileRequest& request)
    : options_(layer.options()), training_(request.mode == Mode::kTrain), units_(request.inputs[0]) {
  output_ = request.inputs[0];
  inputs_.assign(request.inputs.size(), output_);
  BackwardPart part{"backward", {}, request.wants_dw && (options_.scale || options_.shift)};
  for (int i = 0; i < static_cast<int>(inputs_.size()); ++i) {
    if (request.wants_dx[static_cast<size_t>(i)] && !dx_is_dy(i)) part.dx.push_back(i);
  }
  if (training_ && (part.dw || !part.dx.empty())) parts_ = {part};
  if (needs_sums()) saved_ = {output_.shape.c * static_cast<int64_t>(sizeof(Channel))};
  streamed_ = !output_.layout.canonical() && output_.bytes() >= kStreamed;
  const int64_t cached = kCached * omp_get_max_threads();
  at_once_ = std::clamp<int64_t>(cached / (units_.runs * units_.run), 1, units_.groups);
  const int64_t rows = kTableRows + (training_ ? kPartRows * units_.per_group() : 0);
  workspace_bytes_ = at_once_ * rows * units_.width * static_cast<int64_t>(sizeof(float));
}

void BatchNormCpu::bind(const KernelArgs& args) {
  args_ = args;
  w_ = batch_norm_parameters(options_, args.w);
  if (writes_dw()) dw_ = batch_norm_parameters(options_, args.dw);
  tables_ = static_cast<float*>(args.workspace);
  sums_ = tables_ + at_once_ * kTableRows * units_.width;
}

// ---- Loops

template <class Body>
void BatchNormCpu::for_groups(const Body& body) const {
  for (int64_t begin = 0; begin < units_.groups; begin += at_once_) {
    body(begin, std::min(begin + at_once_, units_.groups));
  }
}

// Calls body(offset, length, table, part) for every unit of the groups, in the order of memory.
template <class Body>
void BatchNormCpu::for_units(int64_t begin, int64_t end, const Body& body) const {
  const Units units = units_;
  float *sums = sums_, *tables = tables_;
  const int64_t per_run = units.per_run, groups = end - begin, grain = std::max<int64_t>(1, kGrain / units.unit);
  for_ranges(groups * units.per_group(), grain, [=](int64_t from, int64_t to) CONVOY_INLINE {
    for (int64_t i = from; i < to; ++i) {
      const int64_t group = i / per_run % groups, index = i / per_run / groups * per_run + i % per_run;
      body(units.offset(begin + group, index), units.length(index), tables + group * kTableRows * units.width,
           sums + (group * units.per_group() + index) * kPartRows * units.width);
    }
    batch_norm::end_of_stream();
  });
}

// Calls column(channel, lane) for lanes [0, lanes) of a group, and writes what it returns to all columns of the channel
// in the group's table.  Padding has zeros: so it stays zero.
template <class Column>
void BatchNormCpu::set_tables(int64_t group, int64_t first, int64_t lanes, const Column& column) const {
  float* table = tables_ + group % at_once_ * kTableRows * units_.width;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const int64_t channel = group * units_.channels + first + lane;
    const TableColumn values = channel < output_.shape.c ? column(channel, lane) : TableColumn{};
    for (int64_t row = 0; row < kTableRows; ++row) {
      float* to = table + row * units_.width;
      for (int64_t i = first + lane; i < units_.width; i += units_.channels) to[i] = values[static_cast<size_t>(row)];
    }
  }
}

// ---- Forward

void BatchNormCpu::forward(Stream&) {
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_groups([&](int64_t begin, int64_t end) {
      if (of_batch()) {
        add_statistics<T>(begin, end);
        use_statistics(begin, end);
      } else {
        use_running(begin, end);
      }
      normalize<T>(begin, end);
    });
  });
}

template <class T>
void BatchNormCpu::add_statistics(int64_t begin, int64_t end) const {
  const T* x = args_.x[0].as<T>();
  const int64_t width = units_.width, channels = units_.channels;
  for_units(begin, end, [=](int64_t offset, int64_t length, const float*, float* part) CONVOY_INLINE {
    batch_norm::add_statistics(x + offset, length, width, channels, part);
  });
}

void BatchNormCpu::use_statistics(int64_t begin, int64_t end) const {
  batch_norm::for_channels(units_, begin, end, [=, this](int64_t group, int64_t first, int64_t lanes) CONVOY_INLINE {
    double mean[kLanes], squares[kLanes];
    batch_norm::mean_and_squares(units_, parts(group), first, lanes, samples(), mean, squares);
    set_tables(group, first, lanes, [&](int64_t channel, int64_t lane) {
      add_batch_state(channel, mean[lane], squares[lane]);
      const Channel it = channel_of(mean[lane], squares[lane] / samples());
      if (!saved_.empty()) kept(channel) = it;
      return normalization(channel, it);
    });
  });
}

void BatchNormCpu::use_running(int64_t begin, int64_t end) const {
  const float *mean = args_.state[0].as<float>(), *variance = args_.state[1].as<float>();
  for (int64_t group = begin; group < end; ++group) {
    set_tables(group, 0, units_.channels, [&](int64_t channel, int64_t) {
      const Channel it = channel_of(mean[channel], variance[channel]);
      if (!saved_.empty()) kept(channel) = it;
      return normalization(channel, it);
    });
  }
}

void BatchNormCpu::add_batch_state(int64_t channel, double mean, double squares) const {
  args_.batch_state[0].as<float>()[channel] += static_cast<float>(mean);
  args_.batch_state[1].as<float>()[channel] += static_cast<float>(squares / std::max(samples() - 1, 1.0));
}

Channel BatchNormCpu::channel_of(double mean, double variance) const {
  const auto high = static_cast<float>(mean);
  const double one_over_std = 1 / std::sqrt(variance + static_cast<double>(options_.epsilon));
  return {high, static_cast<float>(mean - high), static_cast<float>(one_over_std)};
}

// mean | scale | shift | 0 | 0; the same bits in both passes.
TableColumn BatchNormCpu::normalization(int64_t channel, const Channel& it) const {
  const double weight = w_.weight == nullptr ? 1 : w_.weight[channel], bias = w_.bias == nullptr ? 0 : w_.bias[channel];
  const double scale = weight * it.one_over_std;
  const double shift = bias - it.rest * scale;
  return {it.mean, static_cast<float>(scale), static_cast<float>(shift)};
}

template <class T>
void BatchNormCpu::normalize(int64_t begin, int64_t end) const {
  const T* x = args_.x[0].as<T>();
  const T* added = options_.add ? args_.x[1].as<T>() : nullptr;
  T* y = args_.y.as<T>();
  const int64_t width = units_.width;
  const auto pass = [&](auto add, auto relu, auto streamed) {
    for_units(begin, end, [=](int64_t at, int64_t length, const float* table, const float*) CONVOY_INLINE {
      batch_norm::normalize<add.value, relu.value, streamed.value>(x + at, add ? added + at : nullptr, length, width,
                                                                   table, y + at);
    });
  };
  with_flags(pass, options_.add, options_.relu, streamed_);
}

// ---- Backward

void BatchNormCpu::backward(int, Stream&) {
  if (!needs_sums()) return relu_gradient(output_, args_.y.data, args_.dy.data, args_.dx[1].data);
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_groups([&](int64_t begin, int64_t end) {
      if (adds_gradients()) {
        add_gradients<T>(begin, end);
        use_gradients(begin, end);
      } else {
        use_running(begin, end);
      }
      if (writes_dx(0)) input_gradient<T>(begin, end);
    });
  });
}

template <class T>
void BatchNormCpu::add_gradients(int64_t begin, int64_t end) const {
  for (int64_t group = begin; group < end; ++group) {
    set_tables(group, 0, units_.channels,
               [&](int64_t channel, int64_t) { return normalization(channel, kept(channel)); });
  }
  const T *x = args_.x[0].as<T>(), *y = args_.y.as<T>(), *dy = args_.dy.as<T>();
  T* kept = writes_dx(1) ? args_.dx[1].as<T>() : nullptr;
  const int64_t width = units_.width, channels = units_.channels;
  const auto pass = [&](auto relu, auto add, auto keep) {
    constexpr Mask kMask = batch_norm::mask(relu.value, add.value);
    for_units(begin, end, [=](int64_t at, int64_t length, const float* table, float* part) CONVOY_INLINE {
      batch_norm::add_gradients<kMask, keep.value>(x + at, kMask == Mask::kY ? y + at : nullptr, dy + at, length, width,
                                                   channels, table, part, keep ? kept + at : nullptr);
    });
  };
  with_flags(pass, options_.relu, options_.add, kept != nullptr);
}

void BatchNormCpu::use_gradients(int64_t begin, int64_t end) const {
  batch_norm::for_channels(units_, begin, end, [=, this](int64_t group, int64_t first, int64_t lanes) CONVOY_INLINE {
    double sum[kLanes], product[kLanes];
    batch_norm::gradient_sums(units_, parts(group), first, lanes, sum, product);
    set_tables(group, first, lanes,
               [&](int64_t channel, int64_t lane) { return gradient(channel, sum[lane], product[lane]); });
  });
}

// Writes dweight and dbias where wanted.  The table of batch_norm::input_gradient(): as normalization(), with zeros
// where statistics do not depend on x.
TableColumn BatchNormCpu::gradient(int64_t channel, double sum, double product) const {
  const Channel it = kept(channel);
  const double dweight = (product - it.rest * sum) * it.one_over_std;
  if (dw_.weight != nullptr) dw_.weight[channel] = static_cast<float>(dweight);
  if (dw_.bias != nullptr) dw_.bias[channel] = static_cast<float>(sum);
  if (!of_batch()) return normalization(channel, it);
  const auto [mean, scale, shift, unused_a, unused_b] = normalization(channel, it);
  const double a = -scale * dweight * it.one_over_std / samples();
  const double b = -scale * sum / samples() - a * it.rest;
  return {mean, scale, shift, static_cast<float>(a), static_cast<float>(b)};
}

template <class T>
void BatchNormCpu::input_gradient(int64_t begin, int64_t end) const {
  const bool masked = writes_dx(1);  // dx[1] is dy behind the relu
  const T *x = args_.x[0].as<T>(), *y = args_.y.as<T>(), *dy = (masked ? args_.dx[1] : args_.dy).as<T>();
  T* dx = args_.dx[0].as<T>();
  const int64_t width = units_.width;
  const auto pass = [&](auto relu, auto add, auto streamed) {
    constexpr Mask kMask = batch_norm::mask(relu.value, add.value);
    for_units(begin, end, [=](int64_t at, int64_t length, const float* table, const float*) CONVOY_INLINE {
      batch_norm::input_gradient<kMask, streamed.value>(x + at, kMask == Mask::kY ? y + at : nullptr, dy + at, length,
                                                        width, table, dx + at);
    });
  };
  with_flags(pass, options_.relu && !masked, options_.add, streamed_);
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const BatchNorm& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<BatchNormCpu>(layer, request);
}

}  // namespace convoy
