// What the losses do alike on the GPU.  Forward is a block a row, then one block that adds up what the rows found, in
// order.
#pragma once

#include "core/device/target.h"
#include "layers/kernel_cuda.h"
#include "layers/loss.h"

namespace convoy {

// What a row adds to the control block.
struct RowResult {
  double loss, correct, correct_top5;
};

// ---- Of a block: one row

constexpr int kMostLossThreads = 256;

struct Logit {
  float value;
  int at;
};
__device__ inline Logit larger(Logit a, Logit b) {  // the first, on ties
  return b.value > a.value || (b.value == a.value && b.at < a.at) ? b : a;
}
__device__ inline double plus(double a, double b) { return a + b; }

// All threads' x as one, in every thread, in a fixed order.  `scratch` [kMostLossThreads] is free again afterwards.
template <class T, class Merge>
__device__ T reduce(T x, T* scratch, Merge merge) {
  const int thread = static_cast<int>(threadIdx.x);
  scratch[thread] = x;
  __syncthreads();
  for (int left = static_cast<int>(blockDim.x); left > 1;) {
    const int half = (left + 1) / 2;
    if (thread + half < left) scratch[thread] = merge(scratch[thread], scratch[thread + half]);
    __syncthreads();
    left = half;
  }
  const T result = scratch[0];
  __syncthreads();
  return result;
}

// Σ over classes of term(k).
template <class Term>
__device__ double sum_over_classes(int classes, double* scratch, Term term) {
  double sum = 0;
  for (int k = static_cast<int>(threadIdx.x); k < classes; k += static_cast<int>(blockDim.x)) sum += term(k);
  return reduce(sum, scratch, plus);
}

// How kernels see the logits of all rows.
template <class T>
struct LossRows {
  const T* logits;
  const Target* targets;
  float* y;
  RowResult* results;
  const StepScalars* scalars;
  int classes;
  double smoothing;
  bool evaluates;

  __device__ bool counts(int row) const { return row < scalars->valid_rows; }
  __device__ bool exists(const Target& target) const {
    return target.a >= 0 && target.a < classes && target.b >= 0 && target.b < classes;
  }

  template <class U>
  __device__ Logit largest(const U* x, Logit* scratch) const {
    Logit largest{-INFINITY, classes};
    for (int k = static_cast<int>(threadIdx.x); k < classes; k += static_cast<int>(blockDim.x)) {
      const float value = to_float(x[k]);
      if (value > largest.value) largest = {value, k};
    }
    return reduce(largest, scratch, larger);
  }

  // Of a row that counts, by all threads; the first writes it, and it alone calls loss(), where the classes exist.
  template <class LossOfRow>
  __device__ void write_result(int row, int best, double* scratch, LossOfRow loss) const {
    const Target target = targets[row];
    const T* x = logits + int64_t{row} * classes;
    double rank = 0;
    if (evaluates && exists(target)) {
      const float of = to_float(x[target.a]);
      rank = sum_over_classes(classes, scratch, [=](int k) {
        const float value = to_float(x[k]);
        return of > value || (of == value && target.a <= k) ? 0.0 : 1.0;  // nothing is behind a NaN
      });
    }
    if (threadIdx.x != 0) return;
    results[row] = exists(target) ? RowResult{loss(), best == target.a ? 1.0 : 0.0, rank < kTop5 ? 1.0 : 0.0}
                                  : RowResult{NAN, 0, 0};
  }
};

// ---- Of an element of dx: op.gradient(row, k, y, t)

template <class T, class Op>
struct LossGradient {
  const float* y;
  const Target* targets;
  T* dx;
  const StepScalars* scalars;
  const LossScale* loss_scale;
  int classes;
  float kept, spread;  // 1 - smoothing, smoothing / classes
  Op op;
  template <int N>
  __device__ void run(int64_t i) const {
    const auto row = static_cast<int>(i / classes), k = static_cast<int>(i % classes);
    const float scale = scalars->one_over_global_rows * loss_scale->scale;
    const bool counts = row < scalars->valid_rows;
    const Target target = targets[row];
    const Pack<float, N> said = load<N>(y + i);
    Pack<T, N> gradient;
    for (int j = 0; j < N; ++j) {
      const float wanted = (target.a == k + j ? target.share : 0.0F) + (target.b == k + j ? 1 - target.share : 0.0F);
      const float slope = op.slope(row, k + j, said.at[j], kept * wanted + spread);
      gradient.at[j] = from_float<T>(counts ? slope * scale : 0.0F);
    }
    store(dx + i, gradient);
  }
};

// Adds the results of all valid rows to the control block.
void add_up_losses_cuda(const RowResult* results, int rows, bool evaluates, const StepScalars* scalars, float* control,
                        Stream& stream);

class LossCuda : public CudaKernel {
 public:
  LossCuda(const Loss& layer, const CompileRequest& request)
      : evaluates_(request.mode == Mode::kEval), smoothing_(evaluates_ ? 0 : layer.label_smoothing()) {
    expect_targets(request);
    const ValueType logits = activation_cuda(request.inputs[0]);
    inputs_ = request.inputs;
    for (ValueType& input : inputs_) input = {input.shape, input.dtype};
    inputs_[0] = logits;
    output_ = {logits.shape, Dtype::kF32};
    workspace_bytes_ = logits.shape.n * static_cast<int64_t>(sizeof(RowResult));
    if (!evaluates_ && request.wants_dx[0]) parts_ = {{"backward", {0}, false}};
  }
  bool backward_reads_input(int input) const override { return input > 0; }
  bool backward_reads_output() const override { return true; }

 protected:
  template <class T>
  LossRows<T> rows() const {
    return {args_.x[0].as<T>(), args_.x[1].as<Target>(), args_.y.as<float>(), static_cast<RowResult*>(args_.workspace),
            args_.scalars,      output_.shape.c,         smoothing_,          evaluates_};
  }
  int threads() const {
    return std::min((output_.shape.c + kWarp - 1) / kWarp * kWarp, std::min(block_threads(), kMostLossThreads));
  }
  void add_up(Stream& stream) const {
    add_up_losses_cuda(static_cast<const RowResult*>(args_.workspace), output_.shape.n, evaluates_, args_.scalars,
                       args_.control, stream);
  }
  template <class Op>
  void write_gradient(const Op& op, Stream& stream) const {
    with_elements_cuda(inputs_[0].dtype, [&](auto zero) {
      using T = decltype(zero);
      constexpr int kN = kPack<float>;
      const int classes = output_.shape.c;
      const LossGradient<T, Op> gradient{args_.y.as<float>(),
                                         args_.x[1].as<Target>(),
                                         args_.dx[0].as<T>(),
                                         args_.scalars,
                                         args_.loss_scale,
                                         classes,
                                         static_cast<float>(1 - smoothing_),
                                         static_cast<float>(smoothing_ / classes),
                                         op};
      for_each<kN>(gradient, output_.shape.elements(), classes % kN == 0 && aligned<kN>(gradient.y, gradient.dx),
                   stream);
    });
  }
  bool evaluates() const { return evaluates_; }

 private:
  const bool evaluates_;
  const double smoothing_;
};

}  // namespace convoy
