// Keeps one byte per element, 1 where it was kept, in the order of memory.
#include "layers/dropout.h"

#include <cstring>

#include "layers/kernel_cpu.h"

namespace convoy {
namespace {

constexpr int64_t kLanes = 16;  // Philox counters at a time

// Draws for the elements [first, first + 4 * kLanes) of one row: words[4 * i + j] is word j of counter first / 4 + i.
CONVOY_INLINE inline void draw(uint64_t key, const Random4& start, uint32_t* words) {
  uint32_t a[kLanes], b[kLanes], c[kLanes], d[kLanes];
#pragma omp simd
  for (int64_t i = 0; i < kLanes; ++i) {
    a[i] = start[0] + static_cast<uint32_t>(i);
    b[i] = start[1];
    c[i] = start[2];
    d[i] = start[3];
  }
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int64_t i = 0; i < kLanes; ++i) {
      const uint64_t p0 = uint64_t{0xD2511F53} * a[i];
      const uint64_t p1 = uint64_t{0xCD9E8D57} * c[i];
      const uint32_t b_in = b[i], d_in = d[i];
      a[i] = static_cast<uint32_t>(p1 >> 32) ^ b_in ^ k0;
      b[i] = static_cast<uint32_t>(p1);
      c[i] = static_cast<uint32_t>(p0 >> 32) ^ d_in ^ k1;
      d[i] = static_cast<uint32_t>(p0);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
#pragma omp simd
  for (int64_t i = 0; i < kLanes; ++i) {
    words[4 * i] = a[i];
    words[4 * i + 1] = b[i];
    words[4 * i + 2] = c[i];
    words[4 * i + 3] = d[i];
  }
}

class DropoutCpu : public CpuKernel {
 public:
  DropoutCpu(const Dropout& layer, const CompileRequest& request)
      : id_(layer.id()),
        threshold_(dropout_threshold(layer.rate())),
        scale_(1.0F / (1.0F - layer.rate())),
        identity_(request.mode == Mode::kEval || layer.rate() == 0) {
    inputs_ = request.inputs;
    output_ = request.inputs[0];
    if (identity_) return;
    saved_ = {planes(output_).elements()};
    workspace_bytes_ = row_elements() * output_.shape.n;
    if (request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool dx_is_dy(int) const override { return identity_; }
  bool output_is_input() const override { return identity_; }
  void forward(Stream&) override;
  void backward(int, Stream&) override { apply(args_.dy, args_.dx[0]); }

 private:
  int64_t row_elements() const { return output_.shape.elements() / output_.shape.n; }
  void draw_row(int64_t row, uint8_t* keep) const;
  void to_memory_order(int64_t row, const uint8_t* keep) const;
  void apply(const Tensor& from, const Tensor& to) const;

  uint32_t id_, threshold_;
  float scale_;
  bool identity_;
};

void DropoutCpu::forward(Stream&) {
  parallel_for(output_.shape.n, std::max<int64_t>(1, kGrain / 4 / row_elements()), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (output_.layout.canonical()) {
        draw_row(row, static_cast<uint8_t*>(args_.saved[0]) + row * row_elements());
      } else {
        uint8_t* keep = static_cast<uint8_t*>(args_.workspace) + row * row_elements();
        draw_row(row, keep);
        to_memory_order(row, keep);
      }
    }
  });
  apply(args_.x[0], args_.y);
}

// keep [H,W,C] of one row.
void DropoutCpu::draw_row(int64_t row, uint8_t* keep) const {
  const uint64_t key = random_key(RandomUse::kDropout, args_.scalars->seed);
  const int64_t step = args_.scalars->step, global_row = args_.scalars->first_row + row;
  const int64_t elements = row_elements();
  const uint32_t threshold = threshold_, id = id_;
  simd([=]() CONVOY_INLINE {
    uint32_t words[4 * kLanes];
    uint8_t kept[4 * kLanes];
    for (int64_t first = 0; first < elements; first += 4 * kLanes) {
      draw(key, dropout_counter(id, step, global_row, first / 4), words);
      for (int64_t i = 0; i < 4 * kLanes; ++i) kept[i] = words[i] >= threshold ? 1 : 0;
      std::memcpy(keep + first, kept, static_cast<size_t>(std::min(elements - first, 4 * kLanes)));
    }
  });
}

// keep [H,W,C] → [groups,H,W,block], zeros in the padding.
void DropoutCpu::to_memory_order(int64_t row, const uint8_t* keep) const {
  const Planes p = planes(output_);
  uint8_t* to = static_cast<uint8_t*>(args_.saved[0]) + row * p.groups * p.pixels * p.inner;
  for (int64_t group = 0; group < p.groups; ++group) {
    const int64_t valid = p.valid(group);
    for (int64_t pixel = 0; pixel < p.pixels; ++pixel, to += p.inner) {
      std::memset(to, 0, static_cast<size_t>(p.inner));
      std::memcpy(to, keep + pixel * p.channels + group * p.inner, static_cast<size_t>(valid));
    }
  }
}

void DropoutCpu::apply(const Tensor& from, const Tensor& to) const {
  with_elements(output_.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = from.as<T>();
    T* y = to.as<T>();
    const uint8_t* keep = static_cast<const uint8_t*>(args_.saved[0]);
    const float scale = scale_;
    for_ranges(planes(output_).elements(), kGrain, [=](int64_t begin, int64_t end) CONVOY_INLINE {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        const float kept = load(x + i) * scale;  // not in the condition: that would be a branch, and no vectors
        store(y + i, keep[i] != 0 ? kept : 0.0F);
      }
    });
  });
}

}  // namespace

std::unique_ptr<Kernel> make_cpu_kernel(const Dropout& layer, const CompileRequest& request) {
  expect_activation(request.inputs[0]);
  return std::make_unique<DropoutCpu>(layer, request);
}

}  // namespace convoy
