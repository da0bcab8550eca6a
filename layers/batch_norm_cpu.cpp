// Batch normalisation with own loops.  Groups of channels are done a few at a time, so that what the first pass over
// memory has read is still in the cache for the second.
#include "layers/batch_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "layers/batch_norm_loops_cpu.h"
#include "layers/batch_norm_ranks.h"

namespace convoy {
namespace {

using batch_norm::kLanes;
using batch_norm::kPartRows;
using batch_norm::Mask;
using batch_norm::RankGradients;
using batch_norm::RankMoments;
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
  std::array<int64_t, 2> gathers() const override;
  void bind(const KernelArgs& args) override;
  void statistics(Stream&) override;
  void forward(Stream&) override;
  void backward(int part, Stream&) override;

 private:
  bool writes_dw() const { return !parts_.empty() && parts_[0].dw; }
  bool writes_dx(int input) const {
    return std::ranges::any_of(parts_, [=](const auto& part) { return std::ranges::count(part.dx, input) > 0; });
  }
  bool needs_sums() const { return writes_dw() || writes_dx(0); }
  // Whether statistics depend on x: then so do the gradients.
  bool of_batch() const { return training_ && !options_.inference; }
  // Whether backward has a pass before that of dx: for sums, and where it writes dy behind the relu.
  bool adds_gradients() const { return of_batch() || writes_dw() || writes_dx(1); }
  bool of_ranks() const { return ranks_ > 1 && of_batch(); }
  bool gathers_gradients() const { return parts_.size() > 1; }
  double samples() const {
    const int64_t samples = output_.shape.elements() / output_.shape.c;
    return static_cast<double>(samples);
  }
  double all_samples() const { return of_ranks() ? samples() * ranks_ : samples(); }
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
  void use_gathered_statistics(int64_t begin, int64_t end) const;
  void use_running(int64_t begin, int64_t end) const;
  template <class T>
  void add_gradients(int64_t begin, int64_t end) const;
  void use_gradients(int64_t begin, int64_t end) const;
  void use_gathered_gradients(int64_t begin, int64_t end) const;
  template <class T>
  void input_gradient(int64_t begin, int64_t end) const;

  template <class Body>
  void for_groups(const Body& body) const;
  template <class Body>
  void for_units(int64_t begin, int64_t end, const Body& body) const;
  template <class Column>
  void set_tables(int64_t group, int64_t first, int64_t lanes, const Column& column) const;
  template <class Sums>
  void tell(const Tensor& gathered, int64_t channel, const Sums& mine) const;
  TableColumn use_moments(int64_t channel, double mean, double squares) const;
  Channel channel_of(double mean, double variance) const;
  TableColumn normalization(int64_t channel, const Channel& it) const;
  void add_batch_state(int64_t channel, double mean, double squares) const;
  double weight_gradient(int64_t channel, double sum, double product) const;
  void write_dw(int64_t channel, double sum, double product) const;
  TableColumn gradient(int64_t channel, double sum, double product) const;

  BatchNormOptions options_;
  BatchNormParameters w_, dw_;
  bool training_;
  int ranks_;  // that share statistics
  Units units_;
  bool streamed_;                              // outputs go past the caches
  int64_t at_once_;                            // groups
  float *tables_ = nullptr, *sums_ = nullptr;  // in the workspace: of at_once_ groups a table, and a part for each unit
};

BatchNormCpu::BatchNormCpu(const BatchNorm& layer, const CompileRequest& request)
    : options_(layer.options()),
      training_(request.mode == Mode::kTrain),
      ranks_(request.ranks),
      units_(request.inputs[0]) {
  output_ = request.inputs[0];
  inputs_.assign(request.inputs.size(), output_);
  if (training_) parts_ = batch_norm_backward_parts(options_, request);
  if (needs_sums()) saved_ = {output_.shape.c * static_cast<int64_t>(sizeof(Channel))};
  streamed_ = !output_.layout.canonical() && output_.bytes() >= kStreamed;
  const int64_t cached = kCached * omp_get_max_threads();
  at_once_ = std::clamp<int64_t>(cached / (units_.runs * units_.run), 1, units_.groups);
  const int64_t rows = kTableRows + (training_ ? kPartRows * units_.per_group() : 0);
  workspace_bytes_ = at_once_ * rows * units_.width * static_cast<int64_t>(sizeof(float));
}

std::array<int64_t, 2> BatchNormCpu::gathers() const {
  const int64_t channels = output_.shape.c;
  return {of_ranks() ? batch_norm::gathered_elements<RankMoments>(ranks_, channels) : 0,
          gathers_gradients() ? batch_norm::gathered_elements<RankGradients>(ranks_, channels) : 0};
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

void BatchNormCpu::statistics(Stream&) {
  with_elements(output_.dtype, [&](auto zero) {
    for_groups([&](int64_t begin, int64_t end) {
      add_statistics<decltype(zero)>(begin, end);
      use_statistics(begin, end);
    });
  });
}

void BatchNormCpu::forward(Stream&) {
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_groups([&](int64_t begin, int64_t end) {
      if (of_ranks()) {
        use_gathered_statistics(begin, end);
      } else if (of_batch()) {
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
      if (!of_ranks()) return use_moments(channel, mean[lane], squares[lane]);
      const auto high = static_cast<float>(mean[lane]), rest = static_cast<float>(mean[lane] - high);
      tell(args_.gathered[0], channel, RankMoments{high, rest, static_cast<float>(squares[lane])});
      return TableColumn{};
    });
  });
}

void BatchNormCpu::use_gathered_statistics(int64_t begin, int64_t end) const {
  const auto* gathered = static_cast<const RankMoments*>(args_.gathered[0].data);
  for (int64_t group = begin; group < end; ++group) {
    set_tables(group, 0, units_.channels, [&](int64_t channel, int64_t) {
      const auto [mean, squares] = batch_norm::merge(gathered, ranks_, output_.shape.c, channel, samples());
      return use_moments(channel, mean, squares);
    });
  }
}

// Into the parts of all ranks: gathering overwrites those of the others.
template <class Sums>
void BatchNormCpu::tell(const Tensor& gathered, int64_t channel, const Sums& mine) const {
  batch_norm::tell(static_cast<Sums*>(gathered.data), ranks_, output_.shape.c, channel, mine);
}

TableColumn BatchNormCpu::use_moments(int64_t channel, double mean, double squares) const {
  add_batch_state(channel, mean, squares);
  const Channel it = channel_of(mean, squares / all_samples());
  if (!saved_.empty()) kept(channel) = it;
  return normalization(channel, it);
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
  args_.batch_state[1].as<float>()[channel] += static_cast<float>(squares / std::max(all_samples() - 1, 1.0));
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

void BatchNormCpu::backward(int part, Stream&) {
  if (!needs_sums()) return relu_gradient(output_, args_.y.data, args_.dy.data, args_.dx[1].data);
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    for_groups([&](int64_t begin, int64_t end) {
      if (part == 1) {
        use_gathered_gradients(begin, end);
      } else if (adds_gradients()) {
        add_gradients<T>(begin, end);
        use_gradients(begin, end);
      } else {
        use_running(begin, end);
      }
      if (std::ranges::count(parts_[static_cast<size_t>(part)].dx, 0) > 0) input_gradient<T>(begin, end);
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
    set_tables(group, first, lanes, [&](int64_t channel, int64_t lane) {
      write_dw(channel, sum[lane], product[lane]);
      if (!gathers_gradients()) return gradient(channel, sum[lane], product[lane]);
      tell(args_.gathered[1], channel, RankGradients{static_cast<float>(sum[lane]), static_cast<float>(product[lane])});
      return TableColumn{};
    });
  });
}

void BatchNormCpu::use_gathered_gradients(int64_t begin, int64_t end) const {
  const auto* gathered = static_cast<const RankGradients*>(args_.gathered[1].data);
  for (int64_t group = begin; group < end; ++group) {
    set_tables(group, 0, units_.channels, [&](int64_t channel, int64_t) {
      const auto [sum, product] = batch_norm::merge(gathered, ranks_, output_.shape.c, channel);
      return gradient(channel, sum, product);
    });
  }
}

double BatchNormCpu::weight_gradient(int64_t channel, double sum, double product) const {
  const Channel& it = kept(channel);
  return (product - it.rest * sum) * it.one_over_std;
}

void BatchNormCpu::write_dw(int64_t channel, double sum, double product) const {
  if (dw_.weight != nullptr) dw_.weight[channel] = static_cast<float>(weight_gradient(channel, sum, product));
  if (dw_.bias != nullptr) dw_.bias[channel] = static_cast<float>(sum);
}

// The table of batch_norm::input_gradient(): as normalization(), with zeros where statistics do not depend on x.
TableColumn BatchNormCpu::gradient(int64_t channel, double sum, double product) const {
  const Channel it = kept(channel);
  if (!of_batch()) return normalization(channel, it);
  const auto [mean, scale, shift, unused_a, unused_b] = normalization(channel, it);
  const double a = -scale * weight_gradient(channel, sum, product) * it.one_over_std / all_samples();
  const double b = -scale * sum / all_samples() - a * it.rest;
  return {mean, scale, shift, static_cast<float>(a), static_cast<float>(b)};
}

template <class T>
void BatchNormCpu::input_gradient(int64_t begin, int64_t end) const {
  const bool masked = writes_dx(1) && !gathers_gradients();  // dx[1] of this step is dy behind the relu
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
